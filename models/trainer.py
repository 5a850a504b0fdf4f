"""TFX's entry point to training: `run_fn`."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import tensorflow as tf
import tensorflow_transform as tft

from data.spec import DatasetSpec
from models.config import ModelConfig
from models.export import export, model_weights
from models.features import FeatureLayout
from models.training.distribution import build_strategy, is_chief
from models.training.input import TransformedData
from models.training.loop import train
from models.training.prepare import prepare
from models.training.training_key import training_key
from models.training.validation import Validation
from models.training_config import TrainingConfig
from models.warm_start.find_model import find_model
from models.warm_start.resumable import fingerprint, start_once
from models.warm_start.start import transform_values
from models.zoo import build_model

if TYPE_CHECKING:
    from tfx.components.trainer.fn_args_utils import FnArgs

TRAINING_RECORD = "training.json"


class TrainerArgs(NamedTuple):
    """Those of TFX's `FnArgs` that a training needs, where it is not TFX that calls it; see there."""

    train_files: Sequence[str]
    eval_files: Sequence[str]
    transform_output: str
    serving_model_dir: str
    model_run_dir: str
    custom_config: Mapping[str, str]
    base_model: str | None = None


def run_fn(fn_args: FnArgs) -> None:
    """Trains, keeps the best weights, and exports them.

    Args:
      fn_args: TFX's arguments. `custom_config` holds `dataset`, `model` and `training` as JSON, and `checkpoint_dir`;
        `base_model` is the last blessed model, where training is to go on from it.
    """
    train_and_export(fn_args)


def train_and_export(args: FnArgs | TrainerArgs) -> dict[str, Any] | None:
    """What `run_fn` does; with several workers it is the chief that writes.

    Args:
      args: As for `run_fn`.

    Returns:
      What `training.json` holds; None in a worker that is not the chief.
    """
    custom = args.custom_config
    spec = DatasetSpec.model_validate_json(custom["dataset"])
    model_config = ModelConfig.model_validate_json(custom["model"])
    config = TrainingConfig.model_validate_json(custom["training"])
    # Before anything else: TensorFlow takes no other workers in once it has begun.
    strategy = build_strategy(config.distribution)
    chief = is_chief(strategy)
    transform_output = tft.TFTransformOutput(args.transform_output)
    parse_spec = transform_output.transformed_feature_spec()
    layout = feature_layout(spec, transform_output)
    data = TransformedData.match(args.train_files, parse_spec)
    validation = Validation(TransformedData.match(args.eval_files, parse_spec), spec.domains)
    with strategy.scope():
        model = prepare(model_config, config, layout, data, spec.domains)

    source = args.base_model if config.warm_start_path is None else find_model(config.warm_start_path)
    key = training_key(
        {
            **custom,
            "transform": args.transform_output,
            "data": "\n".join(data.files),
            **({} if source is None else {"warm_start": fingerprint(source)}),
        }
    )
    checkpoint_dir = os.path.join(custom["checkpoint_dir"], key)
    started = time.monotonic()
    warm = None
    if source is not None:
        warm = start_once(model, spec, transform_values(spec, transform_output), source, checkpoint_dir, chief)
    with nullcontext(args.model_run_dir) if chief else tempfile.TemporaryDirectory() as log_dir:
        result = train(model, data, validation, config, checkpoint_dir=checkpoint_dir, log_dir=log_dir)
    record = {
        **asdict(result),
        "seconds": time.monotonic() - started,
        "batch_size": config.batch_size,
        "seed": config.seed,
        "replicas": strategy.num_replicas_in_sync,
        **({} if warm is None else {"warm_start": warm}),
    }
    if model.click_weights is not None:
        of_labels = model.click_weights.of_labels.tolist()
        record["click_weights"] = dict(zip(spec.domains, of_labels, strict=True))
    if strategy.num_replicas_in_sync > 1:
        # Read by all workers: what replicas keep apart is put together. The export has no trace of a strategy.
        values = [weight.numpy() for weight in model_weights(model)]
        factors, model = model.click_weights, build_model(model_config, layout, seed=config.seed)
        model.click_weights = factors
        for weight, value in zip(model_weights(model), values, strict=True):
            weight.assign(value)
    if not chief:
        return None
    export(model, transform_output, spec, args.serving_model_dir)
    with tf.io.gfile.GFile(os.path.join(args.model_run_dir, TRAINING_RECORD), "w") as file:
        file.write(json.dumps(record, indent=2))
    tf.io.gfile.rmtree(checkpoint_dir)
    return record


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
