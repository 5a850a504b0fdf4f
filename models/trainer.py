"""TFX's entry point to training: `run_fn`."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import tensorflow as tf
import tensorflow_transform as tft

from data.spec import DatasetSpec
from models.config import ModelConfig, TrainingConfig
from models.export import export
from models.features import FeatureLayout
from models.training.input import TransformedData
from models.training.loop import train
from models.training.prepare import prepare
from models.training.training_key import training_key
from models.training.validation import Validation
from models.warm_start.find_model import find_model
from models.warm_start.resumable import fingerprint, start_once
from models.warm_start.start import transform_values

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

TRAINING_RECORD = "training.json"


def run_fn(fn_args: FnArgs) -> None:
    """Trains, keeps the best weights, and exports them.

    Args:
      fn_args: TFX's arguments. `custom_config` holds `dataset`, `model` and `training` as JSON, and `checkpoint_dir`;
        `base_model` is the last blessed model, where training is to go on from it.
    """
    custom = fn_args.custom_config
    spec = DatasetSpec.model_validate_json(custom["dataset"])
    model_config = ModelConfig.model_validate_json(custom["model"])
    config = TrainingConfig.model_validate_json(custom["training"])
    transform_output = tft.TFTransformOutput(fn_args.transform_output)
    parse_spec = transform_output.transformed_feature_spec()
    data = TransformedData.match(fn_args.train_files, parse_spec)
    validation = Validation(TransformedData.match(fn_args.eval_files, parse_spec), spec.domains)
    model = prepare(model_config, config, feature_layout(spec, transform_output), data, spec.domains)

    source = fn_args.base_model if config.warm_start_path is None else find_model(config.warm_start_path)
    key = training_key(
        {
            **custom,
            "transform": fn_args.transform_output,
            "data": "\n".join(data.files),
            **({} if source is None else {"warm_start": fingerprint(source)}),
        }
    )
    checkpoint_dir = os.path.join(custom["checkpoint_dir"], key)
    started = time.monotonic()
    warm = None
    if source is not None:
        warm = start_once(model, spec, transform_values(spec, transform_output), source, checkpoint_dir)
    result = train(model, data, validation, config, checkpoint_dir=checkpoint_dir, log_dir=fn_args.model_run_dir)
    seconds = time.monotonic() - started
    export(model, transform_output, spec, fn_args.serving_model_dir)
    record = {**asdict(result), "seconds": seconds, "batch_size": config.batch_size, "seed": config.seed}
    if warm is not None:
        record["warm_start"] = warm
    if model.click_weights is not None:
        of_labels = model.click_weights.of_labels.tolist()
        record["click_weights"] = dict(zip(spec.domains, of_labels, strict=True))
    with tf.io.gfile.GFile(os.path.join(fn_args.model_run_dir, TRAINING_RECORD), "w") as file:
        file.write(json.dumps(record, indent=2))
    tf.io.gfile.rmtree(checkpoint_dir)


def feature_layout(spec: DatasetSpec, transform_output: tft.TFTransformOutput) -> FeatureLayout:
    """The model's input fields, with the vocabulary sizes that Transform found."""
    return FeatureLayout.from_spec(
        spec,
        {
            field.name: transform_output.vocabulary_size_by_name(field.name)
            if field.has_vocabulary
            else field.buckets + 1
            for field in spec.id_fields
        },
    )
