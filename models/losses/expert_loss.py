"""What the losses between experts have in common, and their registry by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig

EXPERT_LOSSES: dict[str, type[ExpertLoss]] = {}


class ExpertLoss(keras.layers.Layer):
    """A loss on what a model's experts or gates say about a batch, with no label in it.

    A layer and not a Keras loss, as it compares no prediction with a label. A subclass defines `call`, which takes what
    `reads` names and returns a float scalar, before the weight alpha.

    Attributes:
      reads: The field of `ForwardPass` that it takes: `expert_outputs` [M, N, d], or `gate_weights` [M, N, d or 1].
      gathers: Whether, with replicas, it is computed on all rows put together, on each of them; otherwise it adds up
        over replicas itself what it needs of the others. Either way the value is that of the whole batch.
    """

    reads: ClassVar[str] = "expert_outputs"
    gathers: ClassVar[bool] = True

    @classmethod
    def from_model_config(cls, config: ModelConfig, seed: int) -> ExpertLoss:
        """The loss with a run's settings; most have none."""
        del seed
        return cls(name=f"{config.expert_loss.name}_loss")

    def input_from(self, result: Any) -> tf.Tensor | None:
        """What the loss reads of a model's `ForwardPass`; None where the model does not have it."""
        return getattr(result, self.reads)

    def build_for(self, result: Any, config: ModelConfig) -> None:
        """Makes the weights that the loss itself may have.

        Args:
          result: A `ForwardPass` of the model.
          config: The model's.

        Raises:
          ValueError: The model has no experts, or no gates, for the loss. CovLoss is the default, and passes over it.
        """
        x = self.input_from(result)
        if x is not None:
            self.build(x.shape)
        elif config.expert_loss.name != "cov":
            raise ValueError(
                f"the model {config.name!r} has no {self.reads.replace('_', ' ')} for the loss "
                f"{config.expert_loss.name!r}; set `model.expert_loss.name` to `none`"
            )


Loss = TypeVar("Loss", bound=type[ExpertLoss])


def register_expert_loss(name: str) -> Callable[[Loss], Loss]:
    """Class decorator that makes a loss known by `name`.

    Raises:
      ValueError: The name is taken.
    """

    def add(loss: Loss) -> Loss:
        if name in EXPERT_LOSSES:
            raise ValueError(f"the loss {name!r} is registered already, as {EXPERT_LOSSES[name].__name__}")
        EXPERT_LOSSES[name] = loss
        return loss

    return add


def build_expert_loss(config: ModelConfig, seed: int) -> ExpertLoss | None:
    """The loss that `config.expert_loss` names; None for `none`."""
    name = config.expert_loss.name
    return None if name == "none" else EXPERT_LOSSES[name].from_model_config(config, seed)


def mean_over_pairs(expert_outputs: tf.Tensor, of_pair: Callable[[tf.Tensor, tf.Tensor], Any]) -> tf.Tensor:
    """Mean of `of_pair(O^p, O^q)` over the pairs p > q of M experts; 0 for one expert.

    Args:
      expert_outputs: float [M, N, d], M static.
      of_pair: Takes two experts' outputs [N, d] and returns a scalar.

    Returns:
      float scalar.
    """
    experts = tf.unstack(expert_outputs)
    values = [of_pair(experts[p], experts[q]) for p in range(len(experts)) for q in range(p)]
    return tf.add_n(values) / len(values) if values else tf.zeros([], expert_outputs.dtype)


def mean_over_rows(x: tf.Tensor) -> tf.Tensor:
    """Mean of `x` [N]; 0 without rows, where `tf.reduce_mean` is NaN."""
    return tf.reduce_sum(x) / tf.cast(tf.maximum(tf.size(x), 1), x.dtype)
