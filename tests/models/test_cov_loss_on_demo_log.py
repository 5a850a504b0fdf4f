"""What CovLoss is for, on the demo log: two trainings that differ in nothing else."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_transform as tft

from models.analysis.capture import capture
from models.analysis.expert_covariance import correlation, dimension_covariance, expert_covariance, off_diagonal_mean
from models.config import ModelConfig
from models.metrics.auc import auc
from models.trainer import feature_layout
from models.training.input import TransformedData
from models.training.prepare import prepare
from models.training_config import TrainingConfig
from models.zoo.base import MultiDomainModel
from pipeline.config_file import load_config
from tests.conftest import ROOT, DemoRun

MODEL = {
    "num_sets": 3, "embedding_dim": 4, "expert_units": [16, 8], "tower_units": [8], "prior_embedding_dim": 4
}  # fmt: skip
TRAINING = TrainingConfig(batch_size=512, epochs=3, seed=1)


@pytest.fixture(scope="module")
def transformed(demo_run: DemoRun):
    outputs = demo_run.components["Transform"].uris
    graph = tft.TFTransformOutput(outputs["transform_graph"])
    splits = {
        split: TransformedData.match(
            [str(Path(outputs["transformed_examples"]) / f"Split-{split}" / "*")], graph.transformed_feature_spec()
        )
        for split in ("train", "validation")
    }
    return feature_layout(load_config(ROOT / "configs/demo.yaml", []).dataset, graph), splits


def trained(transformed, **changes) -> MultiDomainModel:
    layout, splits = transformed
    model = prepare(
        ModelConfig(**MODEL, **changes),
        TRAINING,
        layout,
        splits["train"],
        load_config(ROOT / "configs/demo.yaml").dataset.domains,
    )
    batches = splits["train"].training_batches(TRAINING.batch_size, shuffle_buffer=10_000, seed=TRAINING.seed)
    model.fit(batches, epochs=TRAINING.epochs, verbose=0)
    return model


def test_cov_loss_lowers_the_covariance_between_experts(transformed):
    validation = transformed[1]["validation"]
    labels = validation.columns(["label"])["label"]
    covariance, correlations, quality = {}, {}, {}
    for name, changes in {
        "with": {"cov_loss": {"alpha": 10.0, "normalization": "batch_mean"}},
        "without": {"expert_loss": {"name": "none"}},
    }.items():
        model = trained(transformed, **changes)
        experts = capture(model, validation.batches(4096), 4096).experts
        covariance[name] = off_diagonal_mean(expert_covariance(experts))
        width = experts.shape[2]
        between = np.abs(correlation(dimension_covariance(experts))).reshape(len(experts), width, len(experts), width)
        correlations[name] = off_diagonal_mean(between.mean(axis=(1, 3)))
        quality[name] = auc(labels, np.concatenate([model(batch).numpy() for batch in validation.batches(4096)]))
    assert covariance["with"] < 0.5 * covariance["without"]
    # Not by making all outputs smaller, which would leave correlations as they are; and the model still ranks.
    assert correlations["with"] < 0.75 * correlations["without"]
    assert quality["with"] > quality["without"] - 0.02
