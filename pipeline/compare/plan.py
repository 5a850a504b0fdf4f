"""What a comparison is to find out: which models, losses, numbers of embedding sets and weights of the loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, get_args

from pydantic import Field, ValidationError, field_validator

from data.errors import nearest
from data.strict_model import StrictModel
from models.config import MODEL_NAMES, ExpertLossName
from pipeline.config_file import ConfigError

PAPER_MODELS = (
    "single_domain",
    "shared_bottom",
    "mmoe",
    "ple",
    "me_mmoe",
    "me_ple",
    "sdem",
    "pepnet",
    "hinet",
    "star",
    "adasparse",
    "crocodile",
)
"""The rows of Crocodile's tables 2 and 3, in their order."""

LOSS_NAMES: tuple[str, ...] = get_args(ExpertLossName)

_Names = Annotated[tuple[str, ...], Field(strict=False)]
_Alpha = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class ComparePlan(StrictModel):
    """What is trained and compared, each with every seed; a training that two tables need is done once.

    Attributes:
      models: Rows of the table by domain (tables 2 and 3). When nothing at all is asked for, the paper's twelve. A
        rival is trained without a loss between experts, Crocodile with that of the run's config.
      losses: Losses between experts to compare, on each of `backbones` (table 4); `none`, their base, is always there.
      backbones: Models that the losses are tried on; by default `models` or, without them, Crocodile.
      loss_alphas: Weights of losses by name; where one is missing, that of the run's config or 0.1.
      ablation: Whether Crocodile's parts are taken away one by one (table 5).
      sets: Numbers of embedding sets to try (table 6 and figure 8), with Crocodile and its base, ME-MMoE with PG.
      alphas: Weights of Crocodile's loss between experts to try.
      base: Model that the lift of `models` is over; by default `mmoe` where it is among them, else the first.
      seeds: Trainings of each, with the seeds 0, 1, …
      replicates: Draws of users behind p-values and intervals.
      level: Level of the intervals; a difference is marked where its p-values lie below one minus it.
    """

    models: _Names = ()
    losses: _Names = ()
    backbones: _Names = ()
    loss_alphas: dict[str, _Alpha] = {}
    ablation: bool = False
    sets: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = ()
    alphas: Annotated[tuple[_Alpha, ...], Field(strict=False)] = ()
    base: str | None = None
    seeds: Annotated[int, Field(ge=1)] = 3
    replicates: Annotated[int, Field(ge=20)] = 1000
    level: Annotated[float, Field(gt=0, lt=1)] = 0.95

    @field_validator("models", "backbones")
    @classmethod
    def _known_models(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known("model", names, MODEL_NAMES)

    @field_validator("losses")
    @classmethod
    def _known_losses(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return _known("loss", names, LOSS_NAMES)

    @field_validator("loss_alphas")
    @classmethod
    def _known_loss_alphas(cls, alphas: dict[str, float]) -> dict[str, float]:
        _known("loss", alphas, [name for name in LOSS_NAMES if name != "none"])
        return alphas

    @field_validator("base")
    @classmethod
    def _known_base(cls, name: str | None) -> str | None:
        _known("model", [] if name is None else [name], MODEL_NAMES)
        return name

    @field_validator("sets", "alphas")
    @classmethod
    def _ascending(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(sorted(set(values)))

    def model_names(self) -> tuple[str, ...]:
        """The models of the table by domain, the base among them."""
        nothing = not (self.models or self.losses or self.ablation or self.sets or self.alphas)
        names = PAPER_MODELS if nothing else self.models
        return names if self.base is None or self.base in names or not names else (self.base, *names)

    def base_name(self) -> str | None:
        """The model that the others' lift is over; None without models."""
        names = self.model_names()
        return self.base or ("mmoe" if "mmoe" in names else next(iter(names), None))

    def backbone_names(self) -> tuple[str, ...]:
        """The models that the losses are tried on."""
        return self.backbones or self.models or ("crocodile",)


def plan_with(plan: ComparePlan, given: dict[str, Any]) -> ComparePlan:
    """The plan with what the command line gives in place of its own.

    Args:
      plan: What a file says, or nothing.
      given: Keys of the plan, each the option of that name.

    Raises:
      ConfigError: A value cannot be used; the message names the option.
    """
    try:
        return ComparePlan.model_validate({**plan.model_dump(), **given})
    except ValidationError as error:
        faults = []
        for fault in error.errors():
            key = str(fault["loc"][0]).replace("_", "-")
            faults.append(f"--{key}: {str(fault['msg']).removeprefix('Value error, ')}, found {fault['input']!r}")
        raise ConfigError("\n".join(faults)) from error


def _known(what: str, names: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
    """The names, each once.

    Raises:
      ValueError: One is not known.
    """
    known = tuple(known)
    for name in names:
        if name not in known:
            raise ValueError(f"unknown {what} {name!r}{nearest(name, known)}; known are {', '.join(known)}")
    return tuple(dict.fromkeys(names))
