"""The gate's section of the run config: what a model must reach before it may ship."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator, model_validator

from data.strict_model import StrictModel
from models.metrics.memory_limit import MAX_ROWS_IN_MEMORY

_Share = Annotated[float, Field(ge=0, le=1)]
_Distance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Limits(StrictModel):
    """Bounds of one domain's metrics; what is not given is not asked for.

    Attributes:
      min_auc: Lowest AUC.
      min_gauc: Lowest gAUC.
      max_log_loss: Highest log-loss.
      min_calibration: Lowest calibration, the mean prediction over the mean label.
      max_calibration: Highest calibration.
      max_auc_drop: How far the AUC may fall below the last blessed model's.
      max_gauc_drop: How far the gAUC may fall below it.
      max_log_loss_rise: How far the log-loss may rise above it.
      max_calibration_drift: How much farther from 1 the calibration may lie than its.
    """

    min_auc: _Share | None = None
    min_gauc: _Share | None = None
    max_log_loss: _Distance | None = None
    min_calibration: _Distance | None = None
    max_calibration: _Distance | None = None
    max_auc_drop: _Share | None = None
    max_gauc_drop: _Share | None = None
    max_log_loss_rise: _Distance | None = None
    max_calibration_drift: _Distance | None = None

    def bounds(self, metric: str) -> tuple[float | None, float | None]:
        """Lowest and highest value of `auc`, `gauc`, `log_loss` or `calibration`."""
        return getattr(self, f"min_{metric}", None), getattr(self, f"max_{metric}", None)

    def allowed_change(self, metric: str) -> float | None:
        """How much worse a metric may become against the last blessed model; None where that is not asked."""
        kind = {"log_loss": "rise", "calibration": "drift"}.get(metric, "drop")
        allowed: float | None = getattr(self, f"max_{metric}_{kind}")
        return allowed

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        low, high = self.min_calibration, self.max_calibration
        if low is not None and high is not None and high < low:
            raise ValueError(f"max_calibration {high} is below min_calibration {low}")
        return self


class EvaluationConfig(Limits):
    """What a model must reach before it may ship, on the test split.

    The values are those of all rows; what may change against the last blessed model holds overall and in every domain.

    Attributes:
      min_auc: Lowest overall AUC. There is always one: TFX blesses by nothing else.
      min_gauc: Lowest overall gAUC.
      max_log_loss: Highest overall log-loss.
      min_calibration: Lowest overall calibration, the mean prediction over the mean label.
      max_calibration: Highest overall calibration.
      max_domain_drop: How far AUC or gAUC, overall or of any one domain, may fall below the last blessed model's,
        as an absolute difference.
      max_auc_drop: The same for the AUC alone, in place of `max_domain_drop`.
      max_gauc_drop: The same for the gAUC alone, in place of `max_domain_drop`.
      max_log_loss_rise: How far the log-loss, overall or of any one domain, may rise above the last blessed model's.
      max_calibration_drift: How much farther from 1 the calibration, overall or of any one domain, may lie.
      beyond_noise: Refuse a model for a change only where the whole confidence interval of the change (paired
        bootstrap over users) lies beyond what is allowed, and not just the value.
      min_domain_rows: Test rows that a domain needs to have a say about its fall.
      min_domain_users: Users with both clicks and non-clicks that a domain needs to have a say about its fall.
      domains: Bounds of single domains, by domain. They come on top of the others, so they can only be stricter.
      group_key: Column whose values the gAUC is the mean over and the bootstrap draws, if not the user's.
      min_group_rows: Rows that a user needs, in the domain, to count towards its gAUC.
      replicates: Logs that the bootstrap draws for the intervals; 0 for no intervals.
      confidence: Level of the intervals.
      bootstrap_seed: Decides the draws.
      max_rows_in_memory: Scored rows of a slice that are held. Past it `crocodile evaluate` sorts on disk and stays
        exact; the Evaluator, whose workers share no disk, goes over to a sketch and says how far it may be off.
    """

    min_auc: _Share = 0.55
    min_gauc: _Share | None = 0.5
    max_domain_drop: _Share | None = 0.02
    beyond_noise: bool = False
    min_domain_rows: Annotated[int, Field(ge=0)] = 500
    min_domain_users: Annotated[int, Field(ge=0)] = 50
    domains: dict[str, Limits] = {}
    group_key: Annotated[str, Field(min_length=1)] | None = None
    min_group_rows: Annotated[int, Field(ge=1)] = 1
    replicates: Annotated[int, Field(ge=0, le=10_000)] = 200
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    bootstrap_seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    max_rows_in_memory: Annotated[int, Field(ge=2)] = MAX_ROWS_IN_MEMORY

    def allowed_change(self, metric: str) -> float | None:
        """How much worse a metric may become against the last blessed model; None where that is not asked."""
        own = super().allowed_change(metric)
        return self.max_domain_drop if own is None and metric in ("auc", "gauc") else own

    @field_validator("domains", mode="before")
    @classmethod
    def _domains_as_text(cls, value: object) -> object:
        # YAML reads `2:` as an integer; a domain is compared as text.
        return {str(domain): limits for domain, limits in value.items()} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _noise_has_intervals(self) -> EvaluationConfig:
        if self.beyond_noise and not self.replicates:
            raise ValueError("`beyond_noise` looks at intervals: `replicates` must be at least 1")
        return self
