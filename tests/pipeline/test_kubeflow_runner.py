"""The pipeline compiles for Kubeflow Pipelines v2. Running it needs a cluster, which no test has."""

import json
from pathlib import Path

import pytest

from kubeflow_runner import compile_pipeline
from pipeline.config_file import load_config
from tests.conftest import ROOT


@pytest.mark.parametrize("with_baseline", [True, False])
def test_every_component_becomes_a_task_with_our_code_in_the_image(tmp_path: Path, with_baseline: bool) -> None:
    compile_pipeline(
        load_config(ROOT / "configs/demo.yaml"),
        data_dir="/mnt/log",
        pipeline_root="gs://bucket/root",
        serving_model_dir="gs://bucket/models/crocodile",
        image="registry/crocodile:1",
        output=tmp_path / "pipeline.json",
        with_baseline=with_baseline,
    )
    spec = json.loads((tmp_path / "pipeline.json").read_text())["pipelineSpec"]
    tasks = set(spec["root"]["dag"]["tasks"])
    trained = {"LogExampleGen", "StatisticsGen", "Transform", "Trainer", "Evaluator", "ServingCheck", "Pusher"}
    assert trained <= tasks
    assert any("LatestBlessedModel" in task for task in tasks) == with_baseline
    containers = [e["container"] for e in spec["deploymentSpec"]["executors"].values() if "container" in e]
    assert {container["image"] for container in containers} == {"registry/crocodile:1"}
    classes = " ".join(argument for container in containers for argument in container["args"])
    assert "pipeline.components.atomic_pusher.AtomicPusherExecutor" in classes
    assert "pipeline.components.log_example_gen.LogExampleGenExecutor" in classes
