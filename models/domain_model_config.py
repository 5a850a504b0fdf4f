"""Sections of the model's config that belong to one model with domain-specific parts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.strict_model import StrictModel

PruningForm = Literal["binarization", "scaling", "fusion"]

Width = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]


class AdaSparseConfig(StrictModel):
    """What AdaSparse has besides its MLP, whose widths are `expert_units`, then `tower_units`.

    Attributes:
      form: How a neuron is weighed: `binarization` (0 or 1), `scaling` (0 to beta) or `fusion` (0, or up to beta).
      beta: The largest weight that `scaling` and `fusion` give.
      epsilon: A neuron whose weight is not above this is pruned: its weight is 0. Not used by `scaling`.
      alpha: Steepness of `binarization` and `fusion` at the first training step.
      alpha_max: Its steepness from step `alpha_steps` on; it grows linearly.
      alpha_steps: Training steps after which it grows no more.
      sparsity_min: The smallest share of pruned neurons in a layer that is not punished.
      sparsity_max: The largest share that is not.
      sparsity_weight: Weight of the punishment at the first training step.
      sparsity_weight_max: Its weight from step `alpha_steps` on; it grows linearly. With 0 nothing is punished.
    """

    form: PruningForm = "fusion"
    beta: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 2.0
    epsilon: Annotated[float, Field(ge=0, lt=1)] = 0.25
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.1
    alpha_max: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0
    alpha_steps: Annotated[int, Field(ge=1)] = 5000
    sparsity_min: Share = 0.15
    sparsity_max: Share = 0.25
    sparsity_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.01
    sparsity_weight_max: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.0

    @model_validator(mode="after")
    def _a_range(self) -> AdaSparseConfig:
        if self.sparsity_min > self.sparsity_max:
            raise ValueError(
                f"`sparsity_min` should not be above `sparsity_max`, found {self.sparsity_min} and {self.sparsity_max}"
            )
        return self


class HamurConfig(StrictModel):
    """What HAMUR has besides its domains' MLPs, whose widths are `expert_units`, then `tower_units`.

    Attributes:
      adapters: Number of the last hidden layers that are adapted.
      adapter_units: Width of an adapter's bottleneck.
      rank: Number k of rows and of columns of the matrix that the hyper-network makes for every row.
      hyper_units: Widths of the hyper-network's hidden layers.
      momentum: How much of the moving statistics of the domain normalisation a training step keeps.
    """

    adapters: Width = 2
    adapter_units: Width = 32
    rank: Width = 25
    hyper_units: Annotated[tuple[Width, ...], Field(strict=False)] = (64,)
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.99


class HiNetConfig(StrictModel):
    """What HiNet has besides: its experts, the shared one and each domain's, are made of sub-experts.

    Attributes:
      sub_experts: Number K of sub-experts in every expert; `expert_units` are the widths of each.
    """

    sub_experts: Width = 2


class M3oEConfig(StrictModel):
    """What M3oE has besides its experts, of which `num_sets` are shared.

    Attributes:
      feature_units: Width of the star-shaped layer that extracts a domain's features, and of the experts' input.
    """

    feature_units: Width = 256


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
