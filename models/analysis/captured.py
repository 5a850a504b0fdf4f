"""What the instruments look at: a model's embedding spaces, and its experts and gates on rows, as NumPy arrays."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.floating]


class EmbeddingSpace(NamedTuple):
    """One embedding set of a model.

    Attributes:
      name: Its layer and number, such as `multi_embedding/set 2`.
      fields: The embeddings of every id field, [V_f, d] each.
      domain: The domain that it belongs to; None where all domains share it.
    """

    name: str
    fields: list[_Floats]
    domain: int | None


class Captured(NamedTuple):
    """A model on N rows.

    Attributes:
      ids: int64 [N, F]; of a multi-valued field the first value.
      domains: int64 [N].
      labels: int64 [N].
      experts: [M, N, d]; None for a model without experts.
      gates: [M, N, d] or [M, N, 1]; None for a model without gates.
    """

    ids: npt.NDArray[np.int64]
    domains: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    experts: _Floats | None
    gates: _Floats | None
