"""The exported SavedModel: raw features in, the probability in the row's own domain out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras
from tensorflow_transform.saved.saved_transform_io_v2 import SavedModelLoader

from data.feature import Feature
from data.spec import DatasetSpec
from data.vocabulary import MISSING_INT
from models.signature_names import (
    CLASSES,
    CLASSIFY,
    EXAMPLES,
    INPUTS,
    OUTPUTS,
    PROBABILITY,
    REGRESS,
    SCORES,
    SERVING_DEFAULT,
    SERVING_RAW,
)  # fmt: skip
from models.training.input import model_inputs
from models.warm_start.trained_model import write_record

_DTYPES = {"string": tf.string, "int64": tf.int64, "float32": tf.float32}


class ServingModule(tf.Module):
    """What is saved: the transform graph, the weights and four signatures.

    * `serving_default`: `examples`, serialized tf.Examples of raw features, of shape [batch] (TFX's convention).
    * `serving_raw`: one tensor of shape [batch] for every raw feature, by name. A missing value is the empty string,
      the smallest int64 or NaN. A multi-valued field's values are one text with its separator between them, as in a raw
      log; a vector's tensor is of shape [batch, width], NaN or zeros where it is missing.

    * `classify` and `regress`: `inputs`, serialized tf.Examples, for the requests of TensorFlow Serving's Classify (the
      labels "0" and "1" as `classes`, their probabilities as `scores`, [batch, 2]) and Regress (the probability as
      `outputs`, [batch]). They call the first.

    The first two return `probability`, float32 of shape [batch]: a row of domain s is answered by tower s. A value
    unknown to a field's vocabulary has the field's default id. A domain that the model was not trained on gets the mean
    of the probabilities that all towers give.

    The Keras model itself is not attached, only its variables: nothing of training (CovLoss, metrics, optimizer) is
    saved.
    """

    def __init__(self, model: keras.Model, transform_output: tft.TFTransformOutput, spec: DatasetSpec) -> None:
        """Ties a trained model to its transform graph.

        Args:
          model: Maps transformed inputs to probabilities of shape [batch].
          transform_output: Transform's output, whose graph and vocabularies are saved with the model.
          spec: Names and types of the raw features.
        """
        super().__init__(name="serving")
        self.model_weights = model_weights(model)
        # What `transform_features_layer` wraps in a Keras model. Saving would trace that once more, for nothing, and
        # take longer than all the rest of it.
        transform = SavedModelLoader(transform_output.transform_savedmodel_dir)
        self._transform = _Untracked(transform)
        # Its tables and their files are saved along.
        self.transform = vars(transform)
        self._model = _Untracked(model)
        self._inputs = spec.raw_inputs
        names = {feature.name for feature in spec.raw_inputs}
        raw_spec = transform_output.raw_feature_spec()
        # The label and the time are never inputs: they are not known when a row is to be scored.
        self._parse_spec = {name: parse for name, parse in raw_spec.items() if name in names}

    def signatures(self) -> dict[str, Any]:
        """The signatures, traced."""
        examples = tf.TensorSpec([None], tf.string, name=EXAMPLES)
        inputs = tf.TensorSpec([None], tf.string, name=INPUTS)
        tensors = {f.name: tf.TensorSpec(_raw_shape(f), _DTYPES[f.raw_dtype], name=f.name) for f in self._inputs}
        scored = tf.function(self._score_examples, autograph=False).get_concrete_function(examples)

        def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            positive = scored(inputs)[PROBABILITY]
            classes = tf.tile(tf.constant([["0", "1"]]), [tf.size(positive), 1])
            return {CLASSES: classes, SCORES: tf.stack([1.0 - positive, positive], axis=1)}

        def regress(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            return {OUTPUTS: scored(inputs)[PROBABILITY]}

        return {
            SERVING_DEFAULT: scored,
            SERVING_RAW: tf.function(self._score_tensors, autograph=False).get_concrete_function(tensors),
            CLASSIFY: tf.function(classify, autograph=False).get_concrete_function(inputs),
            REGRESS: tf.function(regress, autograph=False).get_concrete_function(inputs),
        }

    def _score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score(tf.io.parse_example(examples, self._parse_spec))

    def _score_tensors(self, tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return self._score({f.name: self._raw_feature(f, tensors[f.name]) for f in self._inputs})

    def _raw_feature(self, feature: Feature, values: tf.Tensor) -> tf.Tensor | tf.SparseTensor:
        """A plain tensor in the form in which parsing a tf.Example would give the feature."""
        if isinstance(self._parse_spec[feature.name], tf.io.FixedLenFeature):
            return tf.reshape(values, [-1, 1])
        if feature.kind == "vector":
            # Every number, 0 too, is a value.
            places = tf.where(tf.ones_like(values, tf.bool))
            return tf.SparseTensor(places, tf.reshape(values, [-1]), tf.shape(values, tf.int64))
        if feature.raw_dtype == "string":
            present = tf.not_equal(values, "")
        elif feature.raw_dtype == "int64":
            present = tf.not_equal(values, MISSING_INT)
        else:
            present = tf.logical_not(tf.math.is_nan(values))
        rows = tf.where(present)
        indices = tf.concat([rows, tf.zeros_like(rows)], axis=1)
        return tf.SparseTensor(indices, tf.gather_nd(values, rows), tf.stack([tf.size(values, tf.int64), 1]))

    def _score(self, raw: Mapping[str, Any]) -> dict[str, tf.Tensor]:
        transformed = self._transform.value.apply_transform_model(raw)
        return {PROBABILITY: self._model.value(model_inputs(transformed), training=False)}


def _raw_shape(feature: Feature) -> list[int | None]:
    return [None, feature.width] if feature.kind == "vector" else [None]


def model_weights(model: keras.Model) -> list[tf.Variable]:
    """The variables that scores depend on: all but those of metrics and of the loss between experts."""
    of_training = {variable.ref() for metric in model.metrics for variable in metric.variables}
    loss = getattr(model, "expert_loss", None)
    of_training |= {variable.ref() for variable in ([] if loss is None else loss.variables)}
    return [variable for variable in model.variables if variable.ref() not in of_training]


class _Untracked:
    """Holds a value where TensorFlow's object graph does not look."""

    def __init__(self, value: Any) -> None:
        self.value = value


def export(
    model: keras.Model, transform_output: tft.TFTransformOutput, spec: DatasetSpec, serving_model_dir: str
) -> None:
    """Writes the SavedModel; the folder appears whole or not at all.

    Args:
      model: A trained model.
      transform_output: Transform's output.
      spec: The dataset.
      serving_model_dir: Where the SavedModel goes; must not exist or be empty.
    """
    module = ServingModule(model, transform_output, spec)
    unfinished = serving_model_dir.rstrip("/") + ".unfinished"
    tf.saved_model.save(module, unfinished, signatures=module.signatures())
    # So that a later training can go on from this model, wherever it is pushed to.
    write_record(model, module.model_weights, spec, unfinished)
    if tf.io.gfile.exists(serving_model_dir):
        tf.io.gfile.rmtree(serving_model_dir)
    tf.io.gfile.rename(unfinished, serving_model_dir)
