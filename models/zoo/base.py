"""The contract that every model of the zoo keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs
import tf_keras as keras

from models.config import ModelConfig
from models.features import FeatureLayout
from models.layers.linear_part import LinearPart
from models.layers.precision import dense_precision
from models.layers.replicas import gather_over_replicas, num_replicas, sum_over_replicas
from models.losses import build_expert_loss
from models.losses.click_weights import ClickWeights
from models.losses.domain_loss import domain_row_weights, label_row_weights
from models.training_config import Precision
from models.zoo.routed_batch import Inputs, RoutedBatch, route_batch


class ForwardPass(NamedTuple):
    """What a model says about N rows, and what its losses and its analysis need.

    Attributes:
      logits: float32 [N], each from the row's own domain's tower.
      expert_outputs: [M, N, d]; None for a model without experts.
      gate_weights: [M, N, d] or [M, N, 1], the experts' shares; None for a model without gates.
    """

    logits: tf.Tensor
    expert_outputs: tf.Tensor | None = None
    gate_weights: tf.Tensor | None = None


class MultiDomainModel(tfrs.Model):
    """A click model over several domains.

    A subclass builds its layers in `__init__` and defines `forward_routed`. The rest is here, the same for
    all: rows to their domains and back, probabilities, the loss and its parts.

    Inputs are a mapping with `ids` int64 [N, F], `domain` int64 [N], and `values` float32 [N, G] where the
    layout has numeric fields. A local id outside its field's vocabulary counts as the field's default id 0. A
    row whose domain is not one of the S is answered with the mean of the probabilities that it gets in each
    of them, and is not learned from.

    Training reports, as means over an epoch weighted by rows: `loss`, all that is minimised; `loss/click`;
    `loss/cov`, CovLoss before its weight alpha, or under its own name the loss that takes its place
    (`config.expert_loss`; nothing for `none`); `loss/regularization`. Validation reports `loss` and
    `loss/click`, which are equal there.

    Args:
      config: Sizes and losses.
      layout: The inputs.
      seed: int. Decides all initial weights, dropout and sampling.

    Attributes:
      precision: Of the dense layers' products in training steps; float32 unless it is set before the first one.
      click_weights: What clicks and domains weigh in training, and what of that is taken out of the probabilities; None
        where all rows weigh what `config.domain_weighting` says. Set before the first step.
      takes_linear_part: Whether `config.linear_part` is for this model.
      linear_part: With `config.linear_part`, which no paper has, a logistic regression on the same fields, crossed with
        the domain or not, whose logit is added to the model's own.
    """

    precision: Precision = "float32"
    takes_linear_part: ClassVar[bool] = True

    def __init__(self, config: ModelConfig, layout: FeatureLayout, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # A step's losses are the whole batch's on every replica; Keras would add those of several workers up.
        self.distribute_reduction_method = "first"
        self.config = config
        self.layout = layout
        self.seed = seed
        self.click_task = tfrs.tasks.Ranking(
            keras.losses.BinaryCrossentropy(from_logits=True, reduction=keras.losses.Reduction.SUM)
        )
        self.click_weights: ClickWeights | None = None
        self.linear_part: LinearPart | None = None
        if config.linear_part != "none" and self.takes_linear_part:
            self.linear_part = LinearPart(
                layout.num_domains,
                layout.vocabulary_sizes,
                layout.num_value_fields,
                layout.slots,
                layout.widths,
                crossed=config.linear_part == "crossed",
                crossed_scale=config.linear_crossed_scale,
                l2=config.linear_l2,
            )
        self.expert_loss = build_expert_loss(config, seed)
        self.total_mean = keras.metrics.Mean("loss")
        self.click_mean = keras.metrics.Mean("loss/click")
        self.expert_mean = keras.metrics.Mean(f"loss/{config.expert_loss.name}")
        self.regularization_mean = keras.metrics.Mean("loss/regularization")

    def forward_routed(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The model itself.

        Args:
          batch: Rows sorted by domain.
          training: Whether dropout and regularisation are on.

        Returns:
          Logits, expert outputs and gates of the same rows in the same order.
        """
        raise NotImplementedError(f"{type(self).__name__} should define `forward_routed`")

    def own_experts(self, domain: int) -> slice | None:
        """Which of the expert outputs of a row of a domain are bound to that domain; None where none ever is.

        Args:
          domain: 0 ... S - 1.
        """
        del domain
        return None

    def forward_with_linear_part(self, batch: RoutedBatch, training: bool) -> ForwardPass:
        """The model's own forward pass, with the linear part's logit added where it has one."""
        result = self.forward_routed(batch, training)
        if self.linear_part is None:
            return result
        linear = self.linear_part(batch.ids, batch.domain, batch.rows_per_domain, batch.values, training=training)
        return result._replace(logits=tf.cast(result.logits, tf.float32) + linear)

    def forward(self, inputs: Inputs, training: bool = False) -> ForwardPass:
        """Logits, expert outputs and gates of rows in any order, in that order.

        For a row of an unknown domain the logit is that of the mean probability; its expert outputs and gates
        are those it has in domain 0.
        """
        routing, batch = route_batch(inputs, self.layout)
        result = self.forward_with_linear_part(batch, training)
        logits = tf.cast(result.logits, tf.float32)
        if self.click_weights is not None:
            # Training has clicks weigh more than they do in the log; that is not what is predicted.
            logits -= tf.gather(tf.constant(self.click_weights.log_odds, tf.float32), batch.domain)
        return ForwardPass(
            routing.combine(logits),
            *(None if x is None else routing.restore(x, axis=1) for x in result[1:]),
        )

    def call(self, inputs: Inputs, training: bool = False) -> tf.Tensor:
        """Probabilities of a click, float32 [N], each in the row's own domain."""
        return tf.sigmoid(self.forward(inputs, training).logits)

    def compute_loss(self, inputs: tuple[Inputs, tf.Tensor], training: bool = False) -> tf.Tensor:
        """Eq. 8: the click loss and, in training, alpha times the loss between experts.

        Regularisation is in `self.losses`.

        Args:
          inputs: The model's inputs and labels, 0 or 1, [N].
          training: Whether this is a training step.

        Returns:
          float32 scalar. With a strategy, the replica's share: shares add up to the loss of the whole batch.
        """
        features, labels = inputs
        routing, batch = route_batch(features, self.layout)
        with dense_precision(self.precision if training else "float32"):
            result = self.forward_with_linear_part(batch, training)

        weights = domain_row_weights(features["domain"], self.layout.num_domains, self.config.domain_weighting)
        if self.click_weights is not None:
            weights *= label_row_weights(features["domain"], labels, self.click_weights.of_labels)
        # Keras averages over the last axis, so rows go on the first of two.
        click = self.click_task(
            tf.reshape(routing.dispatch(labels), [-1, 1]),
            tf.reshape(tf.cast(result.logits, tf.float32), [-1, 1]),
            sample_weight=routing.dispatch(weights),
            compute_metrics=False,
        )
        alpha = self.config.expert_loss_alpha
        between_experts = tf.zeros([])
        if training and alpha and self.expert_loss is not None:
            x = self.expert_loss.input_from(result)
            if x is not None:
                x = tf.cast(x, tf.float32)
                between_experts = self.expert_loss(gather_over_replicas(x, 1) if self.expert_loss.gathers else x)
        # Gradients are added up over replicas: of what every replica has as a whole, each adds its share.
        loss = click + alpha / num_replicas() * between_experts

        rows = tf.reduce_sum(tf.cast(routing.known, tf.float32))
        regularization = tf.add_n([tf.zeros([]), *self.losses]) if training else tf.zeros([])
        click, regularization = tf.unstack(sum_over_replicas(tf.stack([click, regularization])))
        self.total_mean.update_state(click + alpha * between_experts + regularization, rows)
        self.click_mean.update_state(click, rows)
        self.expert_mean.update_state(between_experts, rows)
        self.regularization_mean.update_state(regularization, rows)
        return loss

    # AutoGraph would rewrite the source of everything below, Keras and the optimizers too: eleven seconds before the
    # first step, for code that has no Python control flow on tensors.
    @tf.autograph.experimental.do_not_convert
    def train_step(self, inputs: tuple[Inputs, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One of tensorflow-recommenders' steps; returns the terms of the loss, means over the epoch."""
        super().train_step(inputs)
        means = [self.total_mean, self.click_mean, self.regularization_mean]
        means += [] if self.expert_loss is None else [self.expert_mean]
        return {mean.name: mean.result() for mean in means}

    @tf.autograph.experimental.do_not_convert
    def test_step(self, inputs: tuple[Inputs, tf.Tensor]) -> dict[str, tf.Tensor]:
        """One step of validation; returns the click loss, mean over the rows so far."""
        self.compute_loss(inputs, training=False)
        return {mean.name: mean.result() for mean in (self.total_mean, self.click_mean)}

    @property
    def embedding_variables(self) -> list[tf.Variable]:
        """Embedding tables; their gradients are sparse, and an optimizer may update touched rows only."""
        return [table for layer in self.submodules for table in getattr(layer, "tables", ())]

    @property
    def linear_variables(self) -> list[tf.Variable]:
        """The embedding variables that are weights of a linear part, and learn with a step size of their own."""
        return [table for layer in self.submodules for table in getattr(layer, "linear_tables", ())]

    def make_weights(self) -> None:
        """Makes all weights, by scoring one row of default ids; those of the loss between experts, too."""
        row = {"ids": tf.zeros([1, self.layout.num_id_columns], tf.int64), "domain": tf.zeros([1], tf.int64)}
        if self.layout.num_value_fields:
            row["values"] = tf.zeros([1, self.layout.num_value_columns])
        self(row)
        if self.expert_loss is not None:
            self.expert_loss.build_for(self.forward(row), self.config)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` needs for an equal model."""
        return {
            "config": self.config.model_dump(mode="json"),
            "layout": self.layout.model_dump(mode="json"),
            "seed": self.seed,
            "click_weights": None if self.click_weights is None else [x.tolist() for x in self.click_weights],
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> MultiDomainModel:
        """A model of the same sizes and initial weights."""
        model = cls(
            ModelConfig.model_validate(config["config"]),
            FeatureLayout.model_validate(config["layout"]),
            config["seed"],
        )
        model.make_weights()
        if config.get("click_weights") is not None:
            model.click_weights = ClickWeights(*map(np.array, config["click_weights"]))
        return model


def layer_seeds(seed: int) -> Iterator[int]:
    """Independent seeds, one for each layer of a model."""
    rng = np.random.default_rng(seed)
    while True:
        # Layers count up from theirs for weights of their own.
        yield int(rng.integers(2**31 - 2**16))
