"""KerasTuner's tuner over a run's config: a trial is one or more trainings, judged on the validation rows."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner

from models.training.training_key import training_key
from models.training_config import TrainingConfig
from pipeline.json_file import write_json
from pipeline.settings import RunConfig
from pipeline.transformed_examples import TransformedExamples
from pipeline.tuning.hyperparameters import DIRECTIONS, build_oracle, to_values
from pipeline.tuning.search_plan import SearchPlan, with_values


class ConfigTuner(keras_tuner.engine.base_tuner.BaseTuner):
    """A search that goes on after a kill where it was, within a training too.

    KerasTuner keeps the trials in the folder; each finished training of a trial is a JSON file beside it, with the
    config, the seed and the metrics of the validation rows.
    """

    def __init__(self, plan: SearchPlan, config: RunConfig, examples: TransformedExamples, folder: Path) -> None:
        """Opens a search.

        Args:
          plan: What is searched.
          config: The config that it starts from.
          examples: Rows to train on and to judge by.
          folder: Where this very search lies.
        """
        self._plan, self._config, self._examples = plan, config, examples
        self._metric = plan.objective or config.training.stopping_metric
        self._spent: list[float] = []
        oracle = build_oracle(plan, self._metric)
        super().__init__(oracle, directory=str(folder.parent), project_name=folder.name)
        # A reloaded oracle takes its limit from the plan of now, so that a search can be made longer.
        oracle.max_trials = plan.trials

    def run_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> dict[str, float]:
        """Trains with the trial's values, once a seed.

        Args:
          trial: KerasTuner's trial.
          *fit_args: Not used.
          **fit_kwargs: Not used.

        Returns:
          The objective, mean over the seeds.

        Raises:
          keras_tuner.errors.FailedTrialError: Values that do not go together, or a metric that is not defined.
        """
        del fit_args, fit_kwargs
        started = time.monotonic()
        values = to_values(self._plan, trial.hyperparameters)
        try:
            config = with_values(self._config, values)
            records = [self._training(trial.trial_id, values, config, seed) for seed in range(self._plan.seeds)]
        except ValueError as error:
            raise keras_tuner.errors.FailedTrialError(f"{_in_words(values)}: {error}") from error
        scores = [record["validation"][self._metric] for record in records]
        if None in scores:
            raise keras_tuner.errors.FailedTrialError(f"{self._metric} is not defined on the validation rows")
        self._spent.append(time.monotonic() - started)
        return {self._metric: sum(scores) / len(scores)}

    def on_search_begin(self) -> None:
        """Leaves a first state, so that a search that is killed in its first trial is known again."""
        self.save()

    def on_trial_end(self, trial: Any) -> None:
        """Says what came out, what is best so far, and how long the rest may take."""
        super().on_trial_end(trial)
        done = self.oracle.get_trial(trial.trial_id)
        values = _in_words(to_values(self._plan, done.hyperparameters))
        if done.score is None:
            reason = (done.message or "").strip().splitlines() or ["not a number"]
            found = f"failed, {reason[-1]}"
        else:
            best = self.oracle.get_best_trials(1)[0]
            found = f"{self._metric} {done.score:.5f} (best {best.score:.5f}, trial {best.trial_id})"
        left = self._plan.trials - len(self.oracle.end_order)
        rest = f", about {left * sum(self._spent) / len(self._spent):.0f} s left" if self._spent and left > 0 else ""
        print(
            f"trial {len(self.oracle.end_order)} of {self._plan.trials}{rest}: {found}: {values}",
            file=sys.stderr,
            flush=True,
        )

    def on_search_end(self) -> None:
        """A search that found nothing has no best trial.

        Raises:
          RuntimeError: Every trial failed.
        """
        trials = list(self.oracle.trials.values())
        if all(trial.score is None for trial in trials):
            reasons = [(trial.message or "").strip().splitlines()[-1:] for trial in trials]
            raise RuntimeError(f"all {len(trials)} trials failed; the first: {' '.join(sum(reasons, [])[:1])}")

    def search_space_summary(self, extended: bool = False) -> None:
        """Nothing: the plan says it."""

    def results_summary(self, num_trials: int = 10) -> None:
        """Nothing: the table of trials says it."""

    def _training(self, trial_id: str, values: dict[str, Any], config: RunConfig, number: int) -> dict[str, Any]:
        training = config.training.model_copy(update={"seed": config.training.seed + number})
        parts = {"model": config.model.model_dump_json(), "training": training.model_dump_json()}
        folder = Path(self.get_trial_dir(trial_id)) / f"training_{training_key(parts)}"
        path = folder.with_suffix(".json")
        if path.is_file():
            record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return record
        record = self._trained(config, training, folder)
        write_json(path, {"trial": trial_id, "values": values, **record})
        return record

    def _trained(self, config: RunConfig, training: TrainingConfig, folder: Path) -> dict[str, Any]:
        started = time.monotonic()
        _, result = self._examples.train(config.model, training, folder)
        overall: Mapping[str, Any] = result.validation["overall"]
        return {
            "seed": training.seed,
            "validation": {name: overall[name] for name in DIRECTIONS},
            "best_step": result.best_step,
            "steps": result.steps,
            "seconds": round(time.monotonic() - started, 1),
            "model": config.model.model_dump(mode="json"),
            "training": training.model_dump(mode="json"),
        }


def _in_words(values: dict[str, Any]) -> str:
    shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in values.items()}
    return ", ".join(f"{key}={value}" for key, value in shown.items())
