"""The model's section of the run config: everything a user may tune, with its default."""

from __future__ import annotations

import math
from typing import Annotated, Literal, get_args

from pydantic import Field, field_validator, model_validator

from data.strict_model import StrictModel
from models.domain_model_config import (
    AdaSparseConfig,
    HamurConfig,
    HiNetConfig,
    M3oEConfig,
    PepNetConfig,
    StarConfig,
)

CovNormalization = Literal["sum", "batch_mean"]
DomainWeighting = Literal["domain_mean", "row_mean"]
_Balance = Literal["balanced", "balanced_by_domain"]
PositiveWeight = float | _Balance
ExpertLossName = Literal["cov", "dot", "cos", "dcorr", "ole", "importance", "trans5", "none"]
LinearKind = Literal["none", "shared", "crossed"]
GateKind = Literal["element_wise", "vector_wise"]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Width = Annotated[int, Field(ge=1)]


# The zoo's names, said here too so that a config is checked without TensorFlow.
MODEL_NAMES = (
    "adasparse",
    "crocodile",
    "epnet",
    "hamur",
    "hinet",
    "logistic_regression",
    "logistic_regression_crossed",
    "m3oe",
    "me_mmoe",
    "me_ple",
    "mmoe",
    "pepnet",
    "ple",
    "sdem",
    "shared_bottom",
    "single_domain",
    "star",
)


class CovLossConfig(StrictModel):
    """The covariance loss between experts (Crocodile eq. 7) and its weight in eq. 8.

    Attributes:
      alpha: Weight of CovLoss in the total loss; 0 switches it off. It goes with `normalization`: the paper's
        alpha is for `sum`, and corresponds to batch size times as much with `batch_mean`.
      normalization: `sum` is eq. 7 as printed, and grows with the batch; `batch_mean` divides it by the
        number of rows, so that alpha keeps its meaning when the batch size changes.
      num_samples: Rows of the batch, drawn at random, on which the covariance is computed; all when not
        given. The paper (appendix A) finds 32 of 1,024 enough.
      include_self: Whether an expert's covariance with itself counts too (p >= q, eq. 7 as printed in the
        final version) rather than pairs of different experts only (p > q).
    """

    alpha: NotNegative = 0.1
    normalization: CovNormalization = "batch_mean"
    num_samples: Annotated[int, Field(ge=1)] | None = None
    include_self: bool = False


class ExpertLossConfig(StrictModel):
    """Which loss works on the experts in training (Crocodile's table 4). CovLoss has its settings in `cov_loss`.

    Attributes:
      name: `cov`; `dot`, `cos`, `dcorr` or `ole`, which push experts apart in other ways; `importance`, which balances
        the gates; `trans5`, which ties experts together; `none`.
      alpha: Weight of the loss in the total loss, 0.1 when not given. Not for `cov`, whose weight is `cov_loss.alpha`.
    """

    name: ExpertLossName = "cov"
    alpha: NotNegative | None = None

    @model_validator(mode="after")
    def _alpha_has_a_loss(self) -> ExpertLossConfig:
        if self.alpha is not None and self.name == "cov":
            raise ValueError("CovLoss is weighted by `model.cov_loss.alpha`, not by `model.expert_loss.alpha`")
        if self.alpha is not None and self.name == "none":
            raise ValueError("`alpha` has no loss to weigh where `name` is `none`")
        return self


class PleConfig(StrictModel):
    """The experts of PLE and ME-PLE that `num_sets`, the number of their shared experts, does not give.

    Attributes:
      domain_experts: Experts that each domain has for itself.
      levels: Extraction levels, one on the other; 1 is CGC.
    """

    domain_experts: Width = 1
    levels: Width = 1


class ModelConfig(StrictModel):
    """Which model, and its sizes.

    Attributes:
      name: The model's name in the registry (`models.zoo.MODELS`).
      embedding_dim: Width d_e of one field's embedding in one set.
      num_sets: Number M of embedding sets, and of experts: set p feeds expert p only. In `mmoe`, `ple` and `m3oe`,
        where one embedding set feeds all, number of shared experts alone.
      expert_units: Widths of an expert's layers, from the first to its output; the last is the paper's d.
      cross_layers: DCN-v2 cross layers ahead of every expert (products of fields); 0 for none, as in the tables.
      cross_projection_dim: Rank of a cross layer's matrix; full when not given.
      tower_units: Widths of a tower's hidden layers; its logit comes on top. May be empty.
      prior_embedding_dim: Width of each of the three prior embeddings (user, item, domain) that steer the
        gates.
      adasparse: What AdaSparse has besides.
      hamur: What HAMUR has besides.
      hinet: What HiNet has besides.
      m3oe: What M3oE has besides.
      pepnet: What PEPNet and EPNet have besides.
      star: What STAR has besides.
      linear_part: What is added to the logit of any model but `single_domain` and the regressions: `none`, as in the
        papers; `shared`, a weight for every id of every field; `crossed`, such weights of the domain besides.
      linear_crossed_scale: What the domain's weights of the linear part are multiplied by; below 1 it keeps a domain
        nearer to what all domains say.
      linear_l2: As `embedding_l2`, for the weights of the linear part.
      gate: `element_wise` (PeG: one weight per expert and output element) or `vector_wise` (PG: one per
        expert).
      cov_loss: The covariance loss between experts; in effect where `expert_loss.name` is `cov`.
      domain_weighting: `domain_mean` (eq. 8: every domain of the batch weighs the same, whatever its size) or
        `row_mean` (every row weighs the same).
      domain_weights: What a domain's rows weigh besides, by its name; 1 where not given, 0 for a domain that is not to
        be learned from. With `domain_mean` it is the weight of the domain's mean.
      positive_weight: What a click weighs against a row without one: a number, `balanced` (both weigh the same over all
        training rows) or `balanced_by_domain` (in each domain).
      calibrate_positive_weight: Whether what `positive_weight` adds to the log-odds is taken out of the predicted
        probabilities again, so that they stay those of the log.
      dropout: Share of units dropped after every hidden layer of experts and towers, in training only.
      embedding_l2: Weight of the squared norm of a row's embeddings (sum over fields and sets, mean over the
        batch's rows); only ids that occur in the batch are pulled to 0.
      embedding_stddev: Standard deviation of the normal distribution that embeddings start from. Small, so
        that an id seen a few times only adds little noise.
      ple: The experts of `ple` and `me_ple`.
      expert_loss: The loss between experts, by name.
    """

    name: Annotated[str, Field(min_length=1)] = "crocodile"
    embedding_dim: Width = 16
    num_sets: Width = 5
    expert_units: Annotated[tuple[Width, ...], Field(strict=False, min_length=1)] = (256, 128)
    cross_layers: Annotated[int, Field(ge=0)] = 0
    cross_projection_dim: Width | None = None
    tower_units: Annotated[tuple[Width, ...], Field(strict=False)] = (64,)
    prior_embedding_dim: Width = 16
    adasparse: AdaSparseConfig = AdaSparseConfig()
    hamur: HamurConfig = HamurConfig()
    hinet: HiNetConfig = HiNetConfig()
    m3oe: M3oEConfig = M3oEConfig()
    pepnet: PepNetConfig = PepNetConfig()
    star: StarConfig = StarConfig()
    linear_part: LinearKind = "none"
    linear_crossed_scale: Positive = 0.3
    linear_l2: NotNegative = 0.0
    gate: GateKind = "element_wise"
    cov_loss: CovLossConfig = CovLossConfig()
    domain_weighting: DomainWeighting = "domain_mean"
    domain_weights: dict[str, NotNegative] = {}
    positive_weight: PositiveWeight = 1.0
    calibrate_positive_weight: bool = True
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    embedding_l2: NotNegative = 0.0
    embedding_stddev: Positive = 0.01
    ple: PleConfig = PleConfig()
    expert_loss: ExpertLossConfig = ExpertLossConfig()

    @field_validator("domain_weights", mode="before")
    @classmethod
    def _domains_as_text(cls, value: object) -> object:
        # YAML reads `2:` as an integer; a domain is compared as text.
        return {str(domain): weight for domain, weight in value.items()} if isinstance(value, dict) else value

    @field_validator("positive_weight", mode="before")
    @classmethod
    def _number_or_balance(cls, value: object) -> object:
        # In one message, where a union would have one for each of its members.
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf
        if not is_number and value not in get_args(_Balance):
            raise ValueError("expected a number above 0, `balanced` or `balanced_by_domain`")
        return value

    @property
    def weighs_clicks(self) -> bool:
        """Whether a row's weight depends on its label or on the name of its domain."""
        return bool(self.domain_weights) or self.positive_weight != 1.0

    @property
    def expert_loss_alpha(self) -> float:
        """Weight of the loss between experts in the total loss."""
        if self.expert_loss.name == "cov":
            return self.cov_loss.alpha
        return 0.1 if self.expert_loss.alpha is None else self.expert_loss.alpha
