"""Scenario-aware attention: what the other domains' experts have to say to a domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_indicator import DomainIndicator
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class ScenarioAttention(keras.layers.Layer):
    """Scenario-aware attentive network (HiNet, Zhou et al. 2023, section III-B).

        A^s = sum over j != s of a_s(j) * S^(j),   a_s = softmax over the j != s of (domain embedding of s) W + b

    The weights depend on the domains only: how much s may learn from j. They add up to 1 over the other domains; with
    one domain there is no other, and A is 0.

    Args:
      num_domains: int. S.
      indicator_dim: int. Width of the domain embedding.
      stddev: float. Standard deviation that the domain embedding starts from. Defaults to 0.01.
      seed: int. Decides the initial weights. Defaults to 0.

    Inputs:
      expert_outputs: float32 [S, N, d], those of all domains' experts.
      domain: int [N]. Domains, 0 ... S - 1.

    Output:
      float32 [N, d].
    """

    def __init__(
        self, num_domains: int, indicator_dim: int, stddev: float = 0.01, seed: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.num_domains = num_domains
        self.indicator = DomainIndicator(num_domains, indicator_dim, stddev=stddev, seed=seed)
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes W [indicator_dim, S] and b [S]."""
        shape = (self.indicator.embedding_dim, self.num_domains)
        self.kernel = self.add_weight("kernel", shape, initializer=StackedUniform(self.seed + 1, relu=False))
        self.bias = self.add_weight("bias", (self.num_domains,), initializer="zeros")
        super().build(input_shape)

    def call(self, expert_outputs: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """Mixes the other domains' outputs."""
        others = 1 - tf.one_hot(domain, self.num_domains)
        scores = tf.matmul(self.indicator(domain), self.kernel) + self.bias
        scores = tf.where(others > 0, scores, scores.dtype.min)
        weights = others * tf.nn.softmax(scores)  # With no others, the softmax has nothing but the own domain.
        return tf.einsum("ns,snd->nd", weights, expert_outputs)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "indicator_dim": self.indicator.embedding_dim,
            "stddev": self.indicator.stddev,
            "seed": self.seed,
        }
