"""The models that a comparison trains, as the rows of its tables; rows that are one and the same model share it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

from models.config import ExpertLossConfig, ExpertLossName, ModelConfig
from pipeline.compare.plan import ComparePlan

NO_LOSS = ExpertLossConfig(name="none")


class Variant(NamedTuple):
    """A row of a table.

    Attributes:
      label: What the row is called.
      model: What is trained for it.
      parts: What else is said about it, such as its components in an ablation.
    """

    label: str
    model: ModelConfig
    parts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Variants:
    """The rows of all tables.

    Attributes:
      models: The table by domain; empty where it is not asked for.
      base: Label of the row that the others' lift is over.
      losses: By backbone; the first row is the base.
      ablation: The first row is the base.
      sets: By number of embedding sets: base and Crocodile.
      alphas: The first row is the base, without a loss.
    """

    models: tuple[Variant, ...]
    base: str | None
    losses: dict[str, tuple[Variant, ...]]
    ablation: tuple[Variant, ...]
    sets: dict[int, tuple[Variant, Variant]]
    alphas: tuple[Variant, ...]

    @classmethod
    def of(cls, plan: ComparePlan, own: ModelConfig) -> Variants:
        """The rows that a plan asks for.

        Args:
          plan: The plan.
          own: The run's model: sizes, gate and loss.
        """
        return cls(
            models=tuple(Variant(name, as_model(own, name)) for name in plan.model_names()),
            base=plan.base_name(),
            losses={name: _losses(plan, own, name) for name in plan.backbone_names()} if plan.losses else {},
            ablation=_ablation(own) if plan.ablation else (),
            sets={number: _of_sets(own, number) for number in plan.sets},
            alphas=_alphas(plan, own) if plan.alphas else (),
        )

    def all(self) -> tuple[Variant, ...]:
        """What is to be trained: every model once, under its first label, in the order of the tables."""
        rows = [
            *self.models,
            *(variant for name, rows in self.losses.items() for variant in _labelled(rows, name)),
            *self.ablation,
            *(variant for number, rows in self.sets.items() for variant in _labelled(rows, f"{number} sets")),
            *_labelled(self.alphas, "alpha"),
        ]
        found: dict[ModelConfig, Variant] = {}
        for variant in rows:
            found.setdefault(variant.model, variant)
        return tuple(found.values())


def as_model(own: ModelConfig, name: str) -> ModelConfig:
    """The model of a name with the run's sizes; only Crocodile has a loss between experts, as in the paper."""
    loss = own.expert_loss if name == "crocodile" else NO_LOSS
    return own.model_copy(update={"name": name, "expert_loss": loss})


def with_loss(model: ModelConfig, name: str, alpha: float | None) -> ModelConfig:
    """The model with another loss between experts.

    Args:
      model: The model.
      name: The loss.
      alpha: Its weight; None for that of the model's config or, where that has another loss, the default.
    """
    if name == "cov":
        cov_loss = model.cov_loss if alpha is None else model.cov_loss.model_copy(update={"alpha": alpha})
        return model.model_copy(update={"expert_loss": ExpertLossConfig(), "cov_loss": cov_loss})
    if alpha is None and model.expert_loss.name == name:
        alpha = model.expert_loss.alpha
    loss = ExpertLossConfig(name=cast(ExpertLossName, name), alpha=alpha)
    return model.model_copy(update={"expert_loss": loss})


def _losses(plan: ComparePlan, own: ModelConfig, backbone: str) -> tuple[Variant, ...]:
    model = own.model_copy(update={"name": backbone})
    rows = [Variant("base", with_loss(model, "none", None))]
    rows += [
        Variant(f"+{name}", with_loss(model, name, plan.loss_alphas.get(name)))
        for name in plan.losses
        if name != "none"
    ]
    return tuple(rows)


def _crocodile(own: ModelConfig, gate: str, with_own_loss: bool) -> ModelConfig:
    model = as_model(own, "crocodile").model_copy(update={"gate": gate})
    return _with_own_loss(model) if with_own_loss else with_loss(model, "none", None)


def _with_own_loss(model: ModelConfig) -> ModelConfig:
    """Crocodile is compared with a loss, also where the run's config has none: CovLoss then."""
    return with_loss(model, "cov", None) if model.expert_loss.name == "none" else model


def _ablation(own: ModelConfig) -> tuple[Variant, ...]:
    loss = _with_own_loss(as_model(own, "crocodile")).expert_loss.name
    return (
        Variant("base (mmoe)", as_model(own, "mmoe"), ("SE", "-", "B")),
        Variant("me_mmoe", as_model(own, "me_mmoe"), ("ME", "-", "B")),
        Variant("ME + PG", _crocodile(own, "vector_wise", False), ("ME", "PG", "B")),
        Variant("ME + PeG", _crocodile(own, "element_wise", False), ("ME", "PeG", "B")),
        Variant(f"ME + PG + {loss}", _crocodile(own, "vector_wise", True), ("ME", "PG", f"B + {loss}")),
        Variant("crocodile", _crocodile(own, "element_wise", True), ("ME", "PeG", f"B + {loss}")),
    )


def _of_sets(own: ModelConfig, number: int) -> tuple[Variant, Variant]:
    sized = own.model_copy(update={"num_sets": number})
    return (
        Variant("base (ME-MMoE with PG)", _crocodile(sized, "vector_wise", False)),
        Variant("crocodile", _crocodile(sized, sized.gate, True)),
    )


def _alphas(plan: ComparePlan, own: ModelConfig) -> tuple[Variant, ...]:
    model = _with_own_loss(as_model(own, "crocodile"))
    loss = model.expert_loss.name
    rows = [Variant("base (no loss)", with_loss(model, "none", None))]
    return (*rows, *(Variant(f"{alpha:g}", with_loss(model, loss, alpha)) for alpha in plan.alphas))


def _labelled(rows: tuple[Variant, ...], prefix: str) -> tuple[Variant, ...]:
    return tuple(row._replace(label=f"{prefix}: {row.label}") for row in rows)
