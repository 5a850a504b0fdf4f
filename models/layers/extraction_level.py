"""An extraction level: shared experts and each domain's own, mixed by gates (PLE; one level alone is CGC)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf
import tf_keras as keras

from models.layers.domain_experts import DomainExperts
from models.layers.experts import ExpertStack
from models.layers.prior_gate import PriorGate


class Extraction(NamedTuple):
    """What a level extracts from N rows.

    Attributes:
      own: float32 [N, d], each row's mixture by its own domain's gate.
      shared: float32 [N, d], each row's mixture by the gate of all domains; None from the last level.
      expert_outputs: float32 [E + M, N, d], the domain's own experts first.
      gate_weights: float32 [E + M, N, 1], of the domains' gates.
    """

    own: tf.Tensor
    shared: tf.Tensor | None
    expert_outputs: tf.Tensor
    gate_weights: tf.Tensor


@keras.utils.register_keras_serializable("crocodile")
class ExtractionLevel(keras.layers.Layer):
    """One extraction network of PLE (Tang et al. 2020, eq. 2 to 8), for domains in place of tasks.

        V_k   = [O_k^(s, 1), ..., O_k^(s, E), O_k^(1), ..., O_k^(M)],   s = domain of k
        own    = sum over the experts of softmax(x_k^s W^s) V_k
        shared = sum over the experts of softmax(x_k W) V_k             (not in the last level)

    x^s is the input of the domain's experts, x that of the shared ones; with several blocks, the blocks side by side.
    In multi-task learning every row has all tasks, so PLE's shared gate sees every task's experts. A row of one domain
    has no business in another domain's experts: the shared gate, too, sees the row's own and the shared ones.

    Args:
      num_domains: int. S.
      domain_experts: int. E, of each domain.
      shared_experts: int. M.
      units: Sequence of ints. Widths of an expert's layers.
      last: bool. Whether this is the last level, which no shared mixture leaves.
      dropout: float. As in `ExpertStack`. Defaults to 0.
      seed: int. Decides the initial kernels and dropout. Defaults to 0.

    Inputs:
      own: float32 [E or 1, N, inputs], rows sorted by domain.
      shared: float32 [M or 1, N, inputs].
      rows_per_domain: int32 [S].

    Output:
      `Extraction`.
    """

    def __init__(
        self,
        num_domains: int,
        domain_experts: int,
        shared_experts: int,
        units: Sequence[int],
        last: bool,
        dropout: float = 0.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.last = last
        self.seed = seed
        # Experts count up from their seed, one a layer.
        gate_seed = seed + (num_domains + 1) * len(units)
        self.shared_experts = ExpertStack(shared_experts, units, dropout, seed=seed)
        self.domain_experts = DomainExperts(num_domains, domain_experts, units, dropout, seed=seed + len(units))
        experts = domain_experts + shared_experts
        self.gate = PriorGate(num_domains, experts, seed=gate_seed)
        self.shared_gate = None if last else PriorGate(1, experts, seed=gate_seed + 1)

    def call(self, own: tf.Tensor, shared: tf.Tensor, rows_per_domain: tf.Tensor, training: bool = False) -> Extraction:
        """Extracts what a domain's rows say by its own experts, and by those of all."""
        expert_outputs = tf.concat(
            [
                self.domain_experts(own, rows_per_domain, training=training),
                self.shared_experts(shared, training=training),
            ],
            axis=0,
        )
        gate_weights = self.gate(_side_by_side(own), rows_per_domain)
        shared_mixture = None
        if self.shared_gate is not None:
            all_rows = tf.shape(shared)[1:2]
            shared_mixture = tf.reduce_sum(self.shared_gate(_side_by_side(shared), all_rows) * expert_outputs, axis=0)
        own_mixture = tf.reduce_sum(gate_weights * expert_outputs, axis=0)
        return Extraction(own_mixture, shared_mixture, expert_outputs, gate_weights)

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {
            **super().get_config(),
            "num_domains": self.gate.num_domains,
            "domain_experts": self.domain_experts.num_experts,
            "shared_experts": self.shared_experts.num_experts,
            "units": list(self.shared_experts.units),
            "last": self.last,
            "dropout": self.shared_experts.dropout,
            "seed": self.seed,
        }


def _side_by_side(blocks: tf.Tensor) -> tf.Tensor:
    # [K, N, width] to [N, K * width].
    return tf.concat(tf.unstack(blocks), axis=-1)
