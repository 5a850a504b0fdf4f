"""What is searched: keys of a run's config with the values they may take, read from one YAML file."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from data.strict_model import StrictModel
from models.training_config import StoppingMetric
from pipeline.config_file import ConfigError
from pipeline.settings import RunConfig

# Of the config, what a training on prepared rows depends on.
SECTIONS = ("model", "training")

Sampling = Literal["linear", "log"]


class Choice(StrictModel):
    """One of some values. A list in the file is short for it.

    Attributes:
      type: What this is.
      values: Whatever the key may be set to, sections and lists too.
    """

    type: Literal["choice"]
    values: Annotated[tuple[Any, ...], Field(strict=False, min_length=1)]

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that a config must accept."""
        return self.values


class IntRange(StrictModel):
    """A whole number.

    Attributes:
      type: What this is.
      min_value: The smallest.
      max_value: The largest.
      step: Distance of one value to the next, with `log` the factor between them.
      sampling: `linear`, or `log` where the order of magnitude matters.
    """

    type: Literal["int"]
    min_value: int
    max_value: int
    step: Annotated[int, Field(ge=1)] | None = None
    sampling: Sampling = "linear"

    @model_validator(mode="after")
    def _is_a_range(self) -> IntRange:
        _check_range(self.min_value, self.max_value, self.sampling, self.step)
        return self

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that a config must accept."""
        return self.min_value, self.max_value


class FloatRange(StrictModel):
    """A number.

    Attributes:
      type: What this is.
      min_value: The smallest.
      max_value: The largest.
      step: Distance of one value to the next, with `log` the factor between them; any value in between when not given.
      sampling: `linear`, or `log` where the order of magnitude matters, as it does for learning rates.
    """

    type: Literal["float"]
    min_value: float
    max_value: float
    step: Annotated[float, Field(gt=0)] | None = None
    sampling: Sampling = "linear"

    @model_validator(mode="after")
    def _is_a_range(self) -> FloatRange:
        _check_range(self.min_value, self.max_value, self.sampling, self.step)
        return self

    @property
    def examples(self) -> tuple[Any, ...]:
        """Values that a config must accept."""
        return self.min_value, self.max_value


Range = Annotated[Choice | IntRange | FloatRange, Field(discriminator="type")]


class SearchPlan(StrictModel):
    """A search.

    Attributes:
      space: By key of the config, such as `training.learning_rate` or `model.cov_loss.alpha`: the values that it may
        take.
      oracle: Who chooses the values of a trial: `bayesian` learns from the trials before, `random`, or `grid`, which
        goes through all combinations.
      trials: The most combinations that are tried.
      seeds: Trainings of each, with different seeds; the mean over them counts.
      objective: Overall metric of the validation rows that the search is for; that of `training.stopping_metric` when
        not given.
      seed: Decides which combinations are tried.
    """

    space: Annotated[dict[str, Range], Field(min_length=1)]
    oracle: Literal["bayesian", "random", "grid"] = "bayesian"
    trials: Annotated[int, Field(ge=1)] = 20
    seeds: Annotated[int, Field(ge=1)] = 1
    objective: StoppingMetric | None = None
    # KerasTuner takes 0 for no seed.
    seed: Annotated[int, Field(ge=1, lt=2**31)] = 1

    @field_validator("space", mode="before")
    @classmethod
    def _lists_are_choices(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: {"type": "choice", "values": of} if isinstance(of, list) else of for key, of in value.items()}


def _check_range(low: float, high: float, sampling: Sampling, step: float | None) -> None:
    if not low < high:
        raise ValueError(f"`min_value` should be below `max_value`, found {low} and {high}")
    if sampling == "log" and low <= 0:
        raise ValueError(f"`min_value` should be above 0 with `log` sampling, found {low}")
    if sampling == "log" and step is not None and step <= 1:
        raise ValueError(f"`step` is a factor with `log` sampling, and should be above 1, found {step}")


def check_plan(plan: SearchPlan, config: RunConfig, source: str) -> None:
    """Tries what the plan says on the config, one key at a time.

    Args:
      plan: The search.
      config: The config that it starts from.
      source: The plan's file, for messages.

    Raises:
      ConfigError: A key does not exist or is not searched, or the config refuses a value. All faults are listed.
    """
    faults = []
    for key, of in plan.space.items():
        if key.partition(".")[0] not in SECTIONS or "." not in key:
            faults.append(
                f"{source}: `space.{key}`: only keys of {' and '.join(f'`{s}`' for s in SECTIONS)} are searched: "
                "the rows are prepared once"
            )
        elif key == "training.seed":
            faults.append(f"{source}: `space.{key}`: a seed is no setting to choose; `seeds` trains with several")
        else:
            faults += [
                f"{source}: `space.{key}`: {fault}" for value in of.examples for fault in _faults(config, {key: value})
            ]
    if faults:
        raise ConfigError("\n".join(dict.fromkeys(faults)))


def with_values(config: RunConfig, values: dict[str, Any]) -> RunConfig:
    """The config with some keys set.

    Raises:
      ValidationError: It is not a config then.
      KeyError: There is no section or entry of that name to set something in.
    """
    content = config.model_dump(mode="json")
    for key, value in values.items():
        section: Any = content
        *parents, last = key.split(".")
        for part in parents:
            section = section[int(part)] if isinstance(section, list) and part.isdigit() else section[part]
        section[int(last) if isinstance(section, list) and last.isdigit() else last] = value
    # As JSON, in which a day may be text.
    return RunConfig.model_validate_json(json.dumps(content))


def _faults(config: RunConfig, values: dict[str, Any]) -> list[str]:
    try:
        with_values(config, values)
    except ValidationError as error:
        value = next(iter(values.values()))
        return [f"{fault['msg'].removeprefix('Value error, ')}, for {value!r}" for fault in error.errors()]
    except (KeyError, IndexError, TypeError):
        return ["there is no such key"]
    return []
