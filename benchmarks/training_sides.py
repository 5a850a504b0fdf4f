"""Two trainings that take turns: a model of ours in this process, and its PyTorch peer in one of its own."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
import tf_keras as keras

from benchmarks.torch_environment import ROOT, make
from benchmarks.torch_peers.sizes import Sizes
from benchmarks.training_rows import TrainingRows
from models.config import ModelConfig
from models.features import FeatureLayout
from models.training.optimizers import build_optimizer
from models.training_config import TrainingConfig
from models.zoo import build_model
from models.zoo.base import MultiDomainModel


class Side(Protocol):
    """A training that can be told to go on."""

    def run(self, steps: int) -> list[float]:
        """Trains; returns the time at the end of each of `steps` + 1 steps, in seconds."""


@dataclass(frozen=True)
class StepTime:
    """Seconds that a step takes.

    Attributes:
      median: Of the turns.
      least: Of the fastest turn.
      most: Of the slowest.
    """

    median: float
    least: float
    most: float


def layout(sizes: Sizes) -> FeatureLayout:
    """The fields of a model of these sizes."""
    names = ["user", "item", *(f"field_{i}" for i in range(2, len(sizes.vocabulary_sizes)))]
    return FeatureLayout(id_fields=tuple(names), vocabulary_sizes=sizes.vocabulary_sizes, num_domains=sizes.num_domains)


def model_config(name: str, sizes: Sizes, **settings: Any) -> ModelConfig:
    """A model of these sizes."""
    return ModelConfig.model_validate(
        {
            "name": name,
            "embedding_dim": sizes.embedding_dim,
            "num_sets": sizes.num_experts,
            "expert_units": sizes.expert_units,
            "tower_units": sizes.tower_units,
            "prior_embedding_dim": sizes.indicator_dim,
            **settings,
        }
    )


class _StepEnds(keras.callbacks.Callback):
    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.times.append(time.perf_counter())


class OurTraining:
    """A model of the zoo, with the optimizers and the step that `crocodile run` trains it with.

    Attributes:
      model: The compiled model.
    """

    def __init__(self, config: ModelConfig, training: TrainingConfig, sizes: Sizes, rows: TrainingRows) -> None:
        self.model: MultiDomainModel = build_model(config, layout(sizes), seed=training.seed)
        self.model.compile(optimizer=build_optimizer(self.model, training, len(rows.ids)))
        self.model.precision = training.precision
        inputs = {"ids": rows.ids, "domain": rows.domain}
        self._batches = tf.data.Dataset.from_tensor_slices((inputs, rows.label)).repeat().prefetch(2)

    def run(self, steps: int) -> list[float]:
        """Trains, from the first batch on."""
        ends = _StepEnds()
        self.model.fit(self._batches, steps_per_epoch=steps + 1, verbose=0, callbacks=[ends])
        return ends.times


class PeerTraining:
    """PyTorch versions of models, in a process of their own, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [str(make()), "-m", "benchmarks.torch_peers.trainer"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def begin(self, name: str, sizes: Sizes, rows: TrainingRows, learning_rate: float, threads: int) -> dict[str, Any]:
        """Begins a training in place of the one before; returns the versions."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "rows.npz"
            rows.write(file)
            return dict(
                self._ask(
                    {
                        "model": name,
                        "sizes": asdict(sizes),
                        "rows": str(file),
                        "threads": threads,
                        "learning_rate": learning_rate,
                    }
                )
            )

    def run(self, steps: int) -> list[float]:
        """Trains on."""
        return list(self._ask({"steps": steps}))

    def scores(self, state: Mapping[str, np.ndarray]) -> tuple[np.ndarray, int]:
        """Loads weights; returns the logits of the first batch and the number of trained parameters."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.npz"
            np.savez(file, **state)
            answer = self._ask({"state": str(file)})
        return np.array(answer["logits"], np.float32), int(answer["parameters"])

    def __enter__(self) -> PeerTraining:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _ask(self, order: Mapping[str, Any]) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the PyTorch process ended with {self._process.wait()}; its errors are above")
        return json.loads(answer)


def take_turns(
    sides: list[Side], turns: int, steps: int, warm_up: int, tell: Callable[[str], None] = lambda _: None
) -> list[StepTime]:
    """Times trainings that take turns, so that what else happens on the machine meets all of them.

    Args:
      sides: The trainings.
      turns: How often each has its turn.
      steps: Steps of a turn.
      warm_up: Steps of each before the first turn, which are not counted.
      tell: Called with every turn's times, in words.

    Returns:
      Of each side, the seconds a step.
    """
    for side in sides:
        side.run(warm_up)
    seconds: list[list[float]] = [[] for _ in sides]
    for turn in range(turns):
        for side, times in zip(sides, seconds, strict=True):
            ends = side.run(steps)
            times.append((ends[-1] - ends[0]) / (len(ends) - 1))
        tell(f"turn {turn + 1}/{turns}: " + ", ".join(f"{1000 * times[-1]:.1f} ms" for times in seconds))
    return [StepTime(statistics.median(times), min(times), max(times)) for times in seconds]
