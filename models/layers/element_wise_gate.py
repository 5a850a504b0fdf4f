"""PeG: a gate a domain, steered by the prior embedding, with a weight for every element of every expert."""

from __future__ import annotations

from typing import Any

import tf_keras as keras

from models.layers.prior_gate import PriorGate


@keras.utils.register_keras_serializable("crocodile")
class ElementWiseGate(PriorGate):
    """Prior informed element-wise gating (Crocodile eq. 9 and 11).

        g_k^s = softmax over the M experts of r_k W^s,   W^s in R^(l x M x d)
        t_k^s = sum over p of g_k^s(p) * O_k^(p),        * element by element

    CovLoss disentangles the elements of different experts; this gate lets a domain choose the expert for each
    element anew, where `PriorGate` has to take or leave an expert's elements together. The layer gives g.

    Args:
      num_domains: int. S.
      num_experts: int. M.
      width: int. Width d of an expert's output.
      seed: int. Decides the initial kernels (Glorot uniform; there is no bias). Defaults to 0.

    Inputs:
      prior: float32 [N, l], rows sorted by domain.
      rows_per_domain: int32 [S].

    Output:
      float32 [M, N, d], positive, adding up to 1 over the experts for every element.
    """

    def __init__(self, num_domains: int, num_experts: int, width: int, seed: int = 0, **kwargs: Any) -> None:
        super().__init__(num_domains, num_experts, seed=seed, **kwargs)
        if width < 1:
            raise ValueError(f"`width` should be at least 1. Received: `width`={width}")
        self._width = width

    @property
    def width(self) -> int:
        """Weights that each expert gets: one for each of its d output elements."""
        return self._width

    def get_config(self) -> dict[str, Any]:
        """Arguments that make an equal layer."""
        return {**super().get_config(), "width": self.width}
