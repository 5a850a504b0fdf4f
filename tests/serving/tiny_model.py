"""A real SavedModel, small: a variable, a vocabulary asset, and a signature for each way to fail."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from pathlib import Path

import tensorflow as tf

RAW_FEATURES = {"user": tf.string, "item": tf.int64, "price": tf.float32, "tab": tf.string}
_DEFAULTS = {"user": "", "item": -1, "price": 0.0, "tab": ""}
TABS = ("home", "search", "video")


class TinyModel(tf.Module):
    """Scores a row by its item, its price and its tab; ``scale`` tells two versions apart."""

    def __init__(self, vocabulary: Path, scale: float) -> None:
        super().__init__()
        self.items = tf.Variable(scale * tf.cos(tf.range(8, dtype=tf.float32)))
        self.tabs = tf.Variable(scale * tf.constant([0.5, -1.0, 2.0, -0.25]))
        self.weights = tf.Variable([[1.0], [2.0], [3.0]])
        self.vocabulary = tf.lookup.StaticVocabularyTable(
            tf.lookup.TextFileInitializer(
                tf.saved_model.Asset(str(vocabulary)).asset_path,
                tf.string,
                tf.lookup.TextFileIndex.WHOLE_LINE,
                tf.int64,
                tf.lookup.TextFileIndex.LINE_NUMBER,
            ),
            num_oov_buckets=1,
        )

    def _score(self, features):
        item = tf.gather(self.items, tf.math.floormod(features["item"], 8))
        tab = tf.gather(self.tabs, self.vocabulary.lookup(features["tab"]))
        known = tf.cast(tf.strings.length(features["user"]) > 0, tf.float32)
        return {"probability": tf.sigmoid(item + tab + 0.1 * features["price"] + 0.3 * known)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def score_examples(self, examples):
        features = {name: tf.io.FixedLenFeature([], dtype, _DEFAULTS[name]) for name, dtype in RAW_FEATURES.items()}
        return self._score(tf.io.parse_example(examples, features))

    @tf.function(
        input_signature=[{name: tf.TensorSpec([None], dtype, name=name) for name, dtype in RAW_FEATURES.items()}]
    )
    def score_raw(self, features):
        return self._score(features)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def strict(self, examples):
        return {"fare": tf.io.parse_example(examples, {"fare": tf.io.FixedLenFeature([], tf.float32)})["fare"]}

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def matmul(self, x):
        return {"y": x @ self.weights, "z": tf.reduce_sum(x, axis=-1), "shape": tf.shape(x)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="a"),
            tf.TensorSpec([None], tf.float32, name="b"),
        ]
    )
    def add(self, a, b):
        return {"sum": a + b, "name": tf.constant("added")}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="turns")])
    def spin(self, turns):
        """Takes some microseconds for each turn."""
        x = tf.random.uniform([])
        for _ in tf.range(turns):
            x = tf.cos(x)
        return {"x": x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="message")])
    def complain(self, message):
        """Fails with the text it is given."""
        with tf.control_dependencies([tf.debugging.Assert(False, [message[0]], summarize=1)]):
            return {"message": tf.identity(message)}


def export(base_path: Path, version: int, scale: float) -> Path:
    """Writes a version directory and returns it."""
    base_path.mkdir(parents=True, exist_ok=True)
    vocabulary = base_path.parent / f"tabs-{version}.txt"
    vocabulary.write_text("\n".join(TABS) + "\n")
    model = TinyModel(vocabulary, scale)
    directory = base_path / str(version)
    tf.saved_model.save(
        model,
        str(directory),
        signatures={
            "serving_default": model.score_examples,
            "serving_raw": model.score_raw,
            "strict": model.strict,
            "matmul": model.matmul,
            "add": model.add,
            "spin": model.spin,
            "complain": model.complain,
        },
    )
    return directory
