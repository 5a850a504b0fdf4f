"""The config of a run: one typed section for every room, read from one YAML file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from data.spec import DatasetSpec
from data.strict_model import StrictModel
from models.config import MODEL_NAMES, ModelConfig
from models.training_config import TrainingConfig
from pipeline.gate import EvaluationConfig
from pipeline.statistics_config import StatisticsConfig


class PipelineConfig(StrictModel):
    """How TFX and Beam run.

    Attributes:
      enable_cache: Reuse a component's earlier outputs when its inputs and settings have not changed.
      workers: Processes that read the log, count vocabularies and transform examples; by default as many as there are
        cores. The outputs do not depend on it. Set it to 1 where a Beam runner spreads the work over machines.
      beam_args: Beam pipeline options. The portable in-process runner by default: `DirectRunner` would first look
        for another runner on the network.
    """

    enable_cache: bool = True
    workers: Annotated[int, Field(ge=1)] | None = None
    beam_args: Annotated[tuple[str, ...], Field(strict=False)] = (
        "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner",
    )


class ServingConfig(StrictModel):
    """How the pushed model is served and tried at the end of a run.

    Attributes:
      model_name: Name of the model on the server, and of its base path.
      score_rows: Rows of the test split that are scored over gRPC at the end of a run.
    """

    model_name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$")] = "crocodile"
    score_rows: Annotated[int, Field(ge=1)] = 1000


class RunConfig(StrictModel):
    """Everything `crocodile run` needs to know, and all that a result depends on besides the log itself.

    Attributes:
      name: Name of the run; its results lie in `output/<name>` unless told otherwise.
      dataset: The log: columns, roles, features, splits.
      model: The model and its sizes.
      training: Optimizers, batches, stopping, seed.
      statistics: What the statistics are taken of, and how far a domain's fields may move.
      evaluation: The gate.
      pipeline: TFX and Beam.
      serving: The server at the end of the run.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_\-]+$")]
    dataset: DatasetSpec
    model: ModelConfig = ModelConfig()
    training: TrainingConfig = TrainingConfig()
    statistics: StatisticsConfig = StatisticsConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    pipeline: PipelineConfig = PipelineConfig()
    serving: ServingConfig = ServingConfig()

    @model_validator(mode="after")
    def _known_model(self) -> RunConfig:
        if self.model.name not in MODEL_NAMES:
            raise ValueError(f"model.name: unknown model {self.model.name!r}; known are {', '.join(MODEL_NAMES)}")
        return self

    @model_validator(mode="after")
    def _known_slices(self) -> RunConfig:
        for key, names in (
            ("evaluation.domains", self.evaluation.domains),
            ("model.domain_weights", self.model.domain_weights),
        ):
            unknown = sorted(set(names) - set(self.dataset.domains))
            if unknown:
                raise ValueError(
                    f"{key}: {unknown[0]!r} is no domain; dataset.domains are {', '.join(self.dataset.domains)}"
                )
        group = self.evaluation.group_key
        kinds = {feature.name: feature.kind for feature in self.dataset.raw_inputs}
        if group is not None and kinds.get(group) != "categorical":
            what = f"{group!r} is {kinds[group]}" if group in kinds else f"no column {group!r}"
            known = ", ".join(name for name, kind in kinds.items() if kind == "categorical")
            raise ValueError(f"evaluation.group_key: {what}; expected a categorical column: {known}")
        return self

    @property
    def group_key(self) -> str:
        """The column that the gAUC is the mean over: the user, or `evaluation.group_key`."""
        return self.evaluation.group_key or self.dataset.roles.user

    @property
    def groups_name(self) -> str:
        """What tables call that column's values: users, or groups by the column."""
        return "users" if self.group_key == self.dataset.roles.user else f"groups by {self.group_key}"
