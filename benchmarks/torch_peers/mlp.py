"""A plain MLP."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def mlp(inputs: int, units: Sequence[int], *, with_logit: bool = False) -> nn.Sequential:
    """Linear layers of these widths, a ReLU after each.

    Args:
      inputs: Width of the input.
      units: Widths of the layers.
      with_logit: Whether a linear layer to one number follows, without a ReLU.
    """
    layers: list[nn.Module] = []
    widths = [inputs, *units]
    for width, outputs in zip(widths, units, strict=False):
        layers += [nn.Linear(width, outputs), nn.ReLU()]
    if with_logit:
        layers.append(nn.Linear(widths[-1], 1))
    return nn.Sequential(*layers)
