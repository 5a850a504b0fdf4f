"""A search plan in KerasTuner's words, and back."""

from __future__ import annotations

import json
from typing import Any

import keras_tuner

from pipeline.tuning.search_plan import Choice, SearchPlan

_ORACLES = {
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "grid": keras_tuner.oracles.GridSearchOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
}
DIRECTIONS = {"gauc": "max", "auc": "max", "log_loss": "min"}
# A combination that cannot be trained is a finding; so many in a row are a mistake in the plan.
_MAX_FAILURES = 5


def to_hyperparameters(plan: SearchPlan) -> keras_tuner.HyperParameters:
    """The space. Values of choices are JSON: KerasTuner knows no lists and sections."""
    space = keras_tuner.HyperParameters()
    for key, of in plan.space.items():
        if isinstance(of, Choice):
            space.Choice(key, [json.dumps(value) for value in of.values], ordered=False)
        else:
            make = space.Int if of.type == "int" else space.Float
            make(key, of.min_value, of.max_value, step=of.step, sampling=of.sampling)
    return space


def to_values(plan: SearchPlan, hyperparameters: keras_tuner.HyperParameters) -> dict[str, Any]:
    """What the keys of the config are set to."""
    values = hyperparameters.values
    return {key: json.loads(values[key]) if isinstance(of, Choice) else values[key] for key, of in plan.space.items()}


def build_oracle(plan: SearchPlan, objective: str) -> keras_tuner.Oracle:
    """Who chooses the trials.

    Args:
      plan: The search.
      objective: The metric that it is for.
    """
    return _ORACLES[plan.oracle](
        objective=keras_tuner.Objective(objective, DIRECTIONS[objective]),
        max_trials=plan.trials,
        hyperparameters=to_hyperparameters(plan),
        allow_new_entries=False,
        seed=plan.seed,
        max_consecutive_failed_trials=_MAX_FAILURES,
    )
