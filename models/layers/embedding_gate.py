"""EPNet: embeddings made personal to the domain."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_indicator import DomainIndicator
from models.layers.gate_nu import GateNu


@keras.utils.register_keras_serializable("crocodile")
class EmbeddingGate(keras.layers.Layer):
    """Embedding personalised network (PEPNet, Chang et al. 2023, eq. 3 to 5).

        delta = GateNU([domain embedding, stop_gradient(E)])
        O_ep  = delta * E,   * element by element

    The gate sees the shared embeddings E and may not change them: they are learned through O_ep only.

    Args:
      num_domains: int. S.
      indicator_dim: int. Width of the domain embedding.
      hidden_units: int. Width of the gate's hidden layer.
      stddev: float. Standard deviation that the domain embedding starts from. Defaults to 0.01.
      seed: int. Decides the initial weights. Defaults to 0.

    Inputs:
      embeddings: float32 [N, width].
      domain: int [N]. Domains, 0 ... S - 1.

    Output:
      float32 [N, width].
    """

    def __init__(
        self,
        num_domains: int,
        indicator_dim: int,
        hidden_units: int,
        stddev: float = 0.01,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.indicator = DomainIndicator(num_domains, indicator_dim, stddev=stddev, seed=seed)
        self.hidden_units = hidden_units
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes the gate, as wide as the embeddings."""
        self.gate = GateNu(1, input_shape[-1], self.hidden_units, seed=self.seed + 1)
        super().build(input_shape)

    def call(self, embeddings: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """Scales every element of the embeddings."""
        return self.gate((self.indicator(domain), embeddings), tf.shape(embeddings)[:1]) * embeddings

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.indicator.num_domains,
            "indicator_dim": self.indicator.embedding_dim,
            "hidden_units": self.hidden_units,
            "stddev": self.indicator.stddev,
            "seed": self.seed,
        }
