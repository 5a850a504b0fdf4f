"""TFX's entry point to tuning: `tuner_fn`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import tensorflow_transform as tft
from tfx import v1 as tfx

from pipeline.settings import RunConfig
from pipeline.transformed_examples import TransformedExamples
from pipeline.tuning.config_tuner import ConfigTuner
from pipeline.tuning.search_plan import SearchPlan

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs


def tuner_fn(fn_args: FnArgs) -> tfx.components.TunerFnResult:
    """The search, for TFX's Tuner to carry out.

    Args:
      fn_args: TFX's arguments. `custom_config` holds `config` and `plan` as JSON, and `folder`, where the search lies.
    """
    custom = fn_args.custom_config
    config = RunConfig.model_validate_json(custom["config"])
    examples = TransformedExamples(
        config.dataset,
        tft.TFTransformOutput(fn_args.transform_graph_path),
        fn_args.train_files,
        fn_args.eval_files,
    )
    plan = SearchPlan.model_validate_json(custom["plan"])
    tuner = ConfigTuner(plan, config, examples, Path(custom["folder"]))
    return tfx.components.TunerFnResult(tuner=tuner, fit_kwargs={"verbose": 0})
