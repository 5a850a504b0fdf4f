"""Our side of the training benchmark trains, and is timed in turns."""

from itertools import pairwise

import numpy as np

from benchmarks.training_check import SIZES
from benchmarks.training_rows import TrainingRows
from benchmarks.training_sides import OurTraining, model_config, take_turns
from models.training_config import TrainingConfig


def test_turns_train_and_time_every_step() -> None:
    rows = TrainingRows.draw(SIZES.vocabulary_sizes, batches=3, batch_size=50, seed=0)
    training = TrainingConfig(embedding_optimizer="adam")
    ours = OurTraining(model_config("mmoe", SIZES), training, SIZES, rows)
    before = [weight.numpy() for weight in ours.model.trainable_variables]
    ends = ours.run(4)
    assert len(ends) == 5 and all(one < next_one for one, next_one in pairwise(ends))
    after = [weight.numpy() for weight in ours.model.trainable_variables]
    assert all(np.isfinite(weight).all() for weight in after)
    assert not any(np.array_equal(*pair) for pair in zip(before, after, strict=True))
    (time,) = take_turns([ours], turns=2, steps=2, warm_up=1)
    assert 0 < time.least <= time.median <= time.most
