"""Trains a small model by a strategy and prints what came out, for tests: `FOLDER none|mirrored|multi_worker`.

A process of its own, as TensorFlow takes in devices and workers at its start only.
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import tf_keras as keras

from models.config import ModelConfig
from models.export import model_weights
from models.training.distribution import build_strategy, is_chief
from models.training.input import TransformedData
from models.training.loop import train
from models.training.prepare import prepare
from models.training.validation import Validation
from models.training_config import TrainingConfig
from tests.models.test_training import FEATURES, LAYOUT, MODEL

# 705 rows: the last batch of an epoch has one row, so that a replica has none.
ROWS = 705
TRAINING = {
    "batch_size": 64,
    "epochs": 1,
    "validations_per_epoch": 2,
    "average_epochs": 0.5,
    "learning_rate": 0.02,
    "embedding_optimizer": "adam",
    "embedding_learning_rate": 0.02,
    "clip_norm": 0.5,
    "patience": 20,
    "seed": 3,
}
MODELS = {
    "crocodile": MODEL.model_copy(update={"embedding_l2": 1e-3, "linear_l2": 1e-3}),
    "star": ModelConfig(
        name="star",
        embedding_dim=3,
        expert_units=(6,),
        tower_units=(4,),
        embedding_l2=1e-3,
        domain_weighting="row_mean",
    ),
}


def curve(folder: Path, kind: str, strategy: tf.distribute.Strategy, name: str) -> dict[str, object]:
    """Losses of every step, the weights that are left, and their scores."""
    data = TransformedData((str(folder / "train"),), FEATURES)
    validation = Validation(TransformedData((str(folder / "validation"),), FEATURES), ("a", "b"))
    training = TrainingConfig(distribution=kind, **TRAINING)
    with strategy.scope():
        model = prepare(MODELS[name], training, LAYOUT, data, ("a", "b"))
    losses = []
    original = model.fit

    def fit(*args: object, callbacks: list, **kwargs: object) -> object:
        noted = keras.callbacks.LambdaCallback(on_batch_end=lambda batch, logs: losses.append(dict(logs)))
        return original(*args, callbacks=[*callbacks, noted], **kwargs)

    model.fit = fit
    place = folder / f"{kind}-{name}"
    logs = place if is_chief(strategy) else place / "logs of the others"
    result = train(model, data, validation, training, checkpoint_dir=str(place), log_dir=str(logs))
    return {
        "losses": losses,
        "steps": [result.steps, result.best_step],
        "log_loss": result.validation["overall"]["log_loss"],
        "scores": validation.scores(model).tolist(),
        "weights": [np.asarray(weight.numpy(), float).ravel().tolist() for weight in model_weights(model)],
        "chief": is_chief(strategy),
    }


def main() -> None:
    """Runs what the command line names."""
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    if kind == "mirrored":
        (cpu,) = tf.config.list_physical_devices("CPU")
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    strategy = build_strategy(kind)
    print(json.dumps({name: curve(folder, kind, strategy, name) for name in MODELS}))


if __name__ == "__main__":
    main()
