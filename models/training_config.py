"""How a model is trained: the section `training` of a config."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from data.strict_model import StrictModel
from models.config import NotNegative, Positive
from models.learning_rate_config import ConstantSchedule, LearningRateScheduleConfig

StoppingMetric = Literal["gauc", "auc", "log_loss"]
EmbeddingOptimizer = Literal["adagrad", "adam"]
Precision = Literal["float32", "bfloat16"]
Distribution = Literal["none", "mirrored", "multi_worker"]


class TrainingConfig(StrictModel):
    """How the model is trained.

    Attributes:
      batch_size: Rows a step.
      epochs: The most passes over the training rows; early stopping usually ends before.
      validations_per_epoch: Validations in each epoch, evenly spaced; the last is at its end. More than one where a
        model overfits within an epoch or two.
      patience: Validations without a better score after which training stops.
      stopping_metric: The overall validation metric that chooses the weights to keep: `gauc`, `auc` or `log_loss`, the
        least noisy of the three on a small validation split.
      average_epochs: How far back, in epochs, a moving average of the weights reaches that is judged and kept in
        their place; 0 keeps the weights themselves.
      learning_rate: Step size of Adam, for all dense weights.
      embedding_optimizer: `adagrad`, or `adam` with moments and weights of touched rows only (LazyAdam). Either updates
        only the rows of the batch.
      embedding_learning_rate: Its step size, for the embedding tables.
      linear_learning_rate: Its step size for a linear part's and a regression's weights of ids; when not given, that of
        the embeddings.
      learning_rate_schedule: How the three step sizes move with the steps, all by the same factor: `constant`,
        `cosine`, `exponential`, `piecewise` or `inverse_sqrt`, each after a warm-up if wanted.
      clip_norm: Dense gradients whose common norm exceeds this are scaled down to it; never when not given. At most one
        of this and the two that follow.
      clip_variable_norm: The same of every dense variable's gradient and its own norm.
      clip_value: Elements of dense gradients are brought into [-`clip_value`, `clip_value`]; never when not given.
      seed: Decides initial weights, row order, dropout and CovLoss samples.
      shuffle_buffer: Rows that are put in a random order together, block by block; the log is in order of time.
      checkpoint_every_steps: Steps between two checkpoints from which a killed training resumes.
      warm_start: The model that a training goes on from: `none`; `last_blessed`, the newest model that the Evaluator
        blessed, where there is one yet; or a path: of a SavedModel, of the base path of its versions (the newest
        counts) or of the output folder of `crocodile run`. See docs/warm_start.md.
      distribution: `none`; `mirrored`, every GPU of this machine (without one, every logical CPU) has a share of each
        batch; `multi_worker`, every process that TF_CONFIG names has one. `batch_size` is that of all together. See
        docs/distribution.md.
      precision: Of the products of dense layers in training: `float32`, or `bfloat16` where the processor or the GPU
        has units for it. Weights, gates, losses and logits are float32 either way, and so is the exported model.
        See docs/precision.md.
    """

    batch_size: Annotated[int, Field(ge=1)] = 1024
    epochs: Annotated[int, Field(ge=1)] = 10
    validations_per_epoch: Annotated[int, Field(ge=1)] = 1
    patience: Annotated[int, Field(ge=1)] = 2
    stopping_metric: StoppingMetric = "gauc"
    average_epochs: NotNegative = 0.0
    learning_rate: Positive = 1e-3
    embedding_optimizer: EmbeddingOptimizer = "adagrad"
    embedding_learning_rate: Positive = 0.05
    linear_learning_rate: Positive | None = None
    learning_rate_schedule: LearningRateScheduleConfig = ConstantSchedule()
    clip_norm: Positive | None = None
    clip_variable_norm: Positive | None = None
    clip_value: Positive | None = None
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    shuffle_buffer: Annotated[int, Field(ge=1)] = 100_000
    checkpoint_every_steps: Annotated[int, Field(ge=1)] = 500
    warm_start: Annotated[str, Field(min_length=1)] = "none"
    distribution: Distribution = "none"
    precision: Precision = "float32"

    @property
    def warm_start_path(self) -> str | None:
        """The path in `warm_start`, if it is one."""
        return None if self.warm_start in ("none", "last_blessed") else self.warm_start

    def refuse_last_blessed(self) -> None:
        """For trainings apart from the pipeline, which alone knows that model.

        Raises:
          ValueError: `warm_start` is `last_blessed`.
        """
        if self.warm_start == "last_blessed":
            raise ValueError("training.warm_start: `last_blessed` is for `crocodile run`; give the model's path")

    @field_validator("learning_rate_schedule", mode="before")
    @classmethod
    def _constant_by_default(cls, value: object) -> object:
        return {"name": "constant", **value} if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _one_clipping(self) -> TrainingConfig:
        given = [name for name in ("clip_norm", "clip_variable_norm", "clip_value") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"at most one kind of gradient clipping, found {' and '.join(f'`{g}`' for g in given)}")
        return self
