"""Sections of the model's config that belong to one model with domain-specific parts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from data.spec import StrictModel

Width = Annotated[int, Field(ge=1)]


class HiNetConfig(StrictModel):
    """What HiNet has besides: its experts, the shared one and each domain's, are made of sub-experts.

    Attributes:
      sub_experts: Number K of sub-experts in every expert; `expert_units` are the widths of each.
    """

    sub_experts: Width = 2


class PepNetConfig(StrictModel):
    """What PEPNet and EPNet have besides their towers, whose widths are `expert_units`, then `tower_units`.

    Attributes:
      gate_units: Width of a gate's hidden layer.
      prior_fields: Categorical fields that steer PEPNet's tower gates, besides the user and the item: the author of
        the item, in its paper.
    """

    gate_units: Width = 64
    prior_fields: Annotated[tuple[str, ...], Field(strict=False)] = ()


class StarConfig(StrictModel):
    """What STAR has besides its star-shaped layers, whose widths are `expert_units`, then `tower_units`.

    Attributes:
      partitioned_normalization: Whether the embeddings are normalised by the statistics of the row's own domain.
      momentum: How much of the moving statistics a training step keeps.
      auxiliary_units: Widths of the auxiliary network's hidden layers, which lifts or lowers a domain's logits.
    """

    partitioned_normalization: bool = True
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99
    auxiliary_units: Annotated[tuple[Width, ...], Field(strict=False)] = (32,)
