"""PPNet: one MLP a domain, whose hidden units are scaled for the user and the item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_experts import DomainExperts
from models.layers.domain_routing import for_each_domain
from models.layers.gate_nu import GateNu
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class PersonalizedTowers(keras.layers.Layer):
    """Parameter personalised network (PEPNet, Chang et al. 2023, eq. 6 to 9), with a tower a domain.

        delta_l = GateNU_l([prior, stop_gradient(O_ep)])
        H_l     = delta_l * relu(H_(l-1) W_l^s + b_l^s),   H_0 = O_ep
        logit   = H_L W^s + b^s

    Every hidden layer has its gate. The gates see all of O_ep and may not change it; the prior they may.

    Args:
      num_domains: int. S.
      hidden_units: Sequence of ints. Widths of the hidden layers, at least one.
      gate_units: int. Width of the gates' hidden layers.
      dropout: float. Share of units dropped after every hidden layer, in training. Defaults to 0.
      seed: int. Decides the initial weights and dropout. Defaults to 0.

    Inputs:
      x: float32 [N, width], O_ep, rows sorted by domain.
      prior: float32 [N, l], embeddings of the user, the item and others that say whom the score is for.
      rows_per_domain: int32 [S].

    Output:
      float32 [N], logits.
    """

    def __init__(
        self,
        num_domains: int,
        hidden_units: Sequence[int],
        gate_units: int,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.num_domains = num_domains
        self.hidden_units = tuple(hidden_units)
        self.gate_units = gate_units
        self.dropout = dropout
        self.seed = seed
        # Seeds far apart: each layer counts up from its own.
        self.layers = [
            DomainExperts(num_domains, 1, [width], seed=seed + 100 * i) for i, width in enumerate(self.hidden_units)
        ]
        self.gates = [
            GateNu(num_domains, width, gate_units, seed=seed + 100 * i + 50)
            for i, width in enumerate(self.hidden_units)
        ]

    def build(self, input_shape: Any) -> None:
        """Makes the logits' kernels [S, in] and biases [S]."""
        shape = (self.num_domains, self.hidden_units[-1], 1)
        self.kernel = self.add_weight("kernel", shape, initializer=StackedUniform(self.seed + 99, relu=False))
        self.bias = self.add_weight("bias", (self.num_domains, 1), initializer="zeros")
        super().build(input_shape)

    def call(self, x: tf.Tensor, prior: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Scores every row in its own domain's tower."""
        gate_inputs = (prior, x)
        for i, (layer, gate) in enumerate(zip(self.layers, self.gates, strict=True)):
            x = gate(gate_inputs, rows_per_domain) * tf.squeeze(layer(tf.expand_dims(x, 0), rows_per_domain), 0)
            if training and self.dropout:
                x = tf.nn.dropout(x, self.dropout, seed=self.seed + i)
        kernels, biases = tf.unstack(self.kernel), tf.unstack(self.bias)
        logits = for_each_domain(
            lambda domain, rows: tf.matmul(rows, kernels[domain]) + biases[domain],
            x,
            rows_per_domain,
            self.num_domains,
        )
        return tf.squeeze(logits, axis=-1)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "hidden_units": list(self.hidden_units),
            "gate_units": self.gate_units,
            "dropout": self.dropout,
            "seed": self.seed,
        }
