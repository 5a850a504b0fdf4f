"""Gate NU: a small network whose output scales another network's units."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_routing import for_each_domain
from models.layers.precision import add_bias, dense_layer, rounded
from models.layers.stacked_uniform import StackedUniform


@keras.utils.register_keras_serializable("crocodile")
class GateNu(keras.layers.Layer):
    """The gate of EPNet and PPNet (PEPNet, Chang et al. 2023, eq. 1 and 2).

        delta = 2 * sigmoid(relu([x, stop_gradient(z)] W + b) W^s + b^s)

    A unit can be switched off or doubled; at the start all gates are about 1. The hidden layer is shared; PPNet's
    output has a part for each tower, of which only the row's own domain's is computed. With one domain it is EPNet's.

    Args:
      num_domains: int. S; 1 for a gate that all rows share.
      width: int. Number of units that it scales.
      hidden_units: int. Width of the hidden layer.
      seed: int. Decides the initial kernels (He uniform, then Glorot uniform; biases start from 0). Defaults to 0.

    Inputs:
      inputs: x and z, float32 [N, any width], rows sorted by domain: what the gate may change, and what it only sees.
      rows_per_domain: int32 [S].

    Output:
      float32 [N, `width`], between 0 and 2.
    """

    def __init__(self, num_domains: int, width: int, hidden_units: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, value in (("num_domains", num_domains), ("width", width), ("hidden_units", hidden_units)):
            if value < 1:
                raise ValueError(f"`{name}` should be at least 1. Received: `{name}`={value}")
        self.num_domains = num_domains
        self.width = width
        self.hidden_units = hidden_units
        self.seed = seed

    def build(self, input_shape: Any) -> None:
        """Makes W [all inputs, hidden], b [hidden], W^s [S, hidden, width] and b^s [S, width]."""
        inputs = sum(shape[-1] for shape in input_shape)
        hidden, out = (inputs, self.hidden_units), (self.num_domains, self.hidden_units, self.width)
        self.kernel = self.add_weight("kernel", hidden, initializer=StackedUniform(self.seed))
        self.bias = self.add_weight("bias", hidden[1:], initializer="zeros")
        self.out_kernel = self.add_weight("out_kernel", out, initializer=StackedUniform(self.seed + 1, relu=False))
        self.out_bias = self.add_weight("out_bias", (self.num_domains, self.width), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor], rows_per_domain: tf.Tensor) -> tf.Tensor:
        """Computes every row's gate."""
        kernels, biases = tf.unstack(rounded(self.out_kernel)), tf.unstack(rounded(self.out_bias))
        # A product each: of both side by side, the gradient would be computed for z, which is most of it, and dropped.
        x, fixed = rounded(inputs[0]), tf.stop_gradient(rounded(inputs[1]))
        of_x, of_fixed = tf.split(rounded(self.kernel), [x.shape[-1], fixed.shape[-1]])
        hidden = add_bias(tf.matmul(x, of_x) + tf.matmul(fixed, of_fixed), rounded(self.bias))
        scores = for_each_domain(
            lambda domain, rows: dense_layer(rows, kernels[domain], biases[domain], relu=False),
            hidden,
            rows_per_domain,
            self.num_domains,
            dense=True,
        )
        return 2 * tf.sigmoid(tf.cast(scores, tf.float32))

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.num_domains,
            "width": self.width,
            "hidden_units": self.hidden_units,
            "seed": self.seed,
        }
