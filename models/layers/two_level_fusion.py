"""Two-level fusion: how much each of M3oE's experts counts, first within a module, then between modules."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.utils.register_keras_serializable("crocodile")
class TwoLevelFusion(keras.layers.Layer):
    """M3oE's fusion (Zhang et al. 2024, two-level fusion) for one task, as one weight an expert.

        domain module: b O^(s) + (1 - b) / (S - 1) * sum over j != s of O^(j),   s = the row's domain
        fused:         shared module + a_d * domain module + a_t * task's expert

    b, a_d and a_t are learned numbers between 0 and 1, each the sigmoid of a weight that starts from 1: b says whether
    a domain listens to its own expert or to the others', a_d and a_t how much the domain and the task add to what all
    share. What the shared experts have among each other is their gate's business. With one domain, b is 1.

    Args:
      num_domains: int. S.

    Inputs:
      shared: float32 [M, N, 1], the gate's weights of the shared experts.
      domain: int [N]. Domains, 0 ... S - 1.

    Output:
      float32 [M + S + 1, N, 1]: the weights of the shared, the domains' and the task's experts.
    """

    def __init__(self, num_domains: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if num_domains < 1:
            raise ValueError(f"`num_domains` should be at least 1. Received: `num_domains`={num_domains}")
        self.num_domains = num_domains

    def build(self, input_shape: Any) -> None:
        """Makes what b, a_d and a_t are the sigmoids of."""
        self.own, self.domain_module = None, self.add_weight("domain_module", (), initializer="ones")
        if self.num_domains > 1:
            self.own = self.add_weight("own_domain", (), initializer="ones")
        self.task_module = self.add_weight("task_module", (), initializer="ones")
        super().build(input_shape)

    def call(self, shared: tf.Tensor, domain: tf.Tensor) -> tf.Tensor:
        """Weighs all experts for every row."""
        own = tf.one_hot(domain, self.num_domains, axis=0)
        within = own
        if self.own is not None:
            balance = tf.sigmoid(self.own)
            within = balance * own + (1 - balance) / (self.num_domains - 1) * (1 - own)
        of_domains = tf.sigmoid(self.domain_module) * within[..., tf.newaxis]
        of_task = tf.sigmoid(self.task_module) * tf.ones_like(shared[:1])
        return tf.concat([shared, of_domains, of_task], axis=0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "num_domains": self.num_domains}
