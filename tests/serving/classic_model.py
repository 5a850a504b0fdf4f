"""A SavedModel of the old kind, as TensorFlow Serving's own tests use: one input tensor for Classify and Regress."""

from pathlib import Path

import tensorflow as tf


def export(directory: Path, scale: float = 1.0, signatures: tuple[str, ...] = ()) -> Path:
    """Writes a version directory: a score is ``scale`` times the example's feature ``x``.

    Args:
        directory: The version directory.
        scale: Tells two versions apart.
        signatures: Only these; all where it is empty.
    """
    info = tf.compat.v1.saved_model.build_tensor_info
    define = tf.compat.v1.saved_model.build_signature_def
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        examples = tf.compat.v1.placeholder(tf.string, [None], name="tf_example")
        x = tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
        weight = tf.compat.v1.get_variable("weight", initializer=tf.constant(scale), use_resource=True)
        score = tf.identity(weight * x, name="score")
        scores = tf.stack([1 - score, score], axis=1)
        classes = tf.tile(tf.constant([["no", "yes"]]), [tf.size(score), 1])
        numbers = {name: tf.compat.v1.placeholder(dtype, [None, None], name=name) for name, dtype in _NUMBERS.items()}
        doubled = {name: tf.add(value, value) if value.dtype.is_floating else tf.identity(value)
                   for name, value in numbers.items()}  # fmt: skip
        raw = tf.compat.v1.placeholder(tf.string, [None], name="raw")
        same = tf.identity(raw)
        matrix = tf.compat.v1.placeholder(tf.float32, [None, None], name="matrix")
        session.run(tf.compat.v1.global_variables_initializer())
        everything = {
            "serving_default": define({"examples": info(examples)}, {"score": info(score)}, _PREDICT),
            "classify": define(
                {"inputs": info(examples)}, {"classes": info(classes), "scores": info(scores)}, _CLASSIFY
            ),
            "only_scores": define({"inputs": info(examples)}, {"scores": info(scores)}, _CLASSIFY),
            "only_classes": define({"inputs": info(examples)}, {"classes": info(classes)}, _CLASSIFY),
            "flat_scores": define({"inputs": info(examples)}, {"scores": info(score)}, _CLASSIFY),
            "regress": define({"inputs": info(examples)}, {"outputs": info(score)}, _REGRESS),
            "wide_regress": define({"inputs": info(examples)}, {"outputs": info(scores)}, _REGRESS),
            "numbers": define(
                {n: info(v) for n, v in numbers.items()}, {n: info(v) for n, v in doubled.items()}, _PREDICT
            ),
            "bytes": define({"raw": info(raw)}, {"raw": info(same), "raw_bytes": info(same)}, _PREDICT),
            "rows": define({"matrix": info(matrix)}, {"sum": info(tf.reduce_sum(matrix, 1))}, _PREDICT),
            "total": define({"matrix": info(matrix)}, {"total": info(tf.reduce_sum(matrix))}, _PREDICT),
            "constant": define({"matrix": info(matrix)}, {"pair": info(tf.constant([1.0, 2.0]))}, _PREDICT),
        }  # fmt: skip
        builder = tf.compat.v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {name: value for name, value in everything.items() if not signatures or name in signatures},
        )
        builder.save()
    return directory


_PREDICT = "tensorflow/serving/predict"
_CLASSIFY = "tensorflow/serving/classify"
_REGRESS = "tensorflow/serving/regress"
_NUMBERS = {"float": tf.float32, "double": tf.float64, "int32": tf.int32, "int64": tf.int64, "bool": tf.bool}


def example(x: float) -> tf.train.Example:
    """A tf.Example that scores ``scale * x``."""
    feature = tf.train.Feature(float_list=tf.train.FloatList(value=[x]))
    return tf.train.Example(features=tf.train.Features(feature={"x": feature}))
