"""The config of learning-rate schedules: how the base learning rates move with the steps of a training."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.strict_model import StrictModel

Steps = Annotated[int, Field(ge=1)]
Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ConstantSchedule(StrictModel):
    """The base learning rates throughout, after a warm-up if there is one.

    Attributes:
      name: Which schedule this is.
      warmup_steps: Steps over which the learning rates rise from nearly 0 to their base, evenly; none by default. What
        a schedule counts besides begins after them.
    """

    name: Literal["constant"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0)] = 0


class CosineSchedule(StrictModel):
    """Down to a share of the base along half a cosine (Loshchilov & Hutter, 2017, without restarts).

    Attributes:
      name: Which schedule this is.
      warmup_steps: As in `constant`.
      decay_steps: Steps after the warm-up over which the rates fall; when not given, all that `epochs` leaves, so that
        the end is reached in the last step that there may be.
      final_factor: The share of the base that is left at the end.
    """

    name: Literal["cosine"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay_steps: Steps | None = None
    final_factor: Annotated[float, Field(ge=0, le=1)] = 0.0


class ExponentialSchedule(StrictModel):
    """Times `decay_rate` every `decay_steps` steps.

    Attributes:
      name: Which schedule this is.
      warmup_steps: As in `constant`.
      decay_rate: What the rates are multiplied by.
      decay_steps: In so many steps; when not given, in those of one epoch.
      staircase: Whether they fall at once when the steps are over, rather than a little at every step.
    """

    name: Literal["exponential"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    decay_rate: Annotated[float, Field(gt=0, le=1)] = 0.9
    decay_steps: Steps | None = None
    staircase: bool = False


class PiecewiseSchedule(StrictModel):
    """Constant between some steps, at which the rates change.

    Attributes:
      name: Which schedule this is.
      warmup_steps: As in `constant`.
      boundaries: Numbers of steps, ascending; each is the last one with the rates before it, counted from 0 as in
        Keras' `PiecewiseConstantDecay`.
      factors: Share of the base after each of them; it is 1 before the first.
    """

    name: Literal["piecewise"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    boundaries: Annotated[tuple[Steps, ...], Field(strict=False, min_length=1)]
    factors: Annotated[tuple[Factor, ...], Field(strict=False, min_length=1)]

    @model_validator(mode="after")
    def _go_together(self) -> PiecewiseSchedule:
        if len(self.factors) != len(self.boundaries):
            raise ValueError(
                f"`factors` should have one entry for each of the {len(self.boundaries)} `boundaries`, "
                f"found {len(self.factors)}"
            )
        if any(one >= other for one, other in pairwise(self.boundaries)):
            raise ValueError(f"`boundaries` should ascend, found {', '.join(map(str, self.boundaries))}")
        return self


class InverseSqrtSchedule(StrictModel):
    """Down with the square root of the steps (Vaswani et al., 2017).

    Attributes:
      name: Which schedule this is.
      warmup_steps: As in `constant`.
      timescale: Steps T: n steps after the warm-up the share is sqrt(T / (T + n)). When not given, `warmup_steps`, or
        10,000 without a warm-up.
    """

    name: Literal["inverse_sqrt"]
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    timescale: Steps | None = None


LearningRateScheduleConfig = Annotated[
    ConstantSchedule | CosineSchedule | ExponentialSchedule | PiecewiseSchedule | InverseSqrtSchedule,
    Field(discriminator="name"),
]
