r"""Compiles the pipeline for Kubeflow Pipelines v2 and Vertex AI; it is not submitted.

    python kubeflow_runner.py --config configs/demo.yaml --data /mnt/logs/demo --pipeline-root gs://bucket/pipelines \
        --serving-model-dir gs://bucket/models/crocodile --image registry/crocodile:latest --output pipeline.json

The image must hold this project and its locked packages. Vertex AI runs the result as it is. Open-source Kubeflow
Pipelines refuses the node that looks up the last blessed model (a TFX Resolver): there, compile with
`--without-baseline`, and the Evaluator goes by its value thresholds alone.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from pipeline.config_file import load_config
from pipeline.settings import RunConfig


def compile_pipeline(
    config: RunConfig,
    *,
    data_dir: str,
    pipeline_root: str,
    serving_model_dir: str,
    image: str,
    output: Path,
    with_baseline: bool = True,
) -> None:
    """Writes the pipeline as a KFP v2 PipelineJob in JSON.

    Args:
      config: The run's config.
      data_dir: Folder of the log's files, as the containers see it.
      pipeline_root: Where artifacts lie, on a file system that the containers share.
      serving_model_dir: Base path of the pushed versions.
      image: Container image with this project installed.
      output: JSON file to write.
      with_baseline: Whether to compare with the last blessed model.
    """
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner

    from pipeline import create_pipeline

    pipeline = create_pipeline(
        config,
        data_dir=data_dir,
        pipeline_root=pipeline_root,
        serving_model_dir=serving_model_dir,
        checkpoint_dir=os.path.join(pipeline_root, "checkpoints"),
        with_baseline=with_baseline,
    )
    runner = kubeflow_v2_dag_runner.KubeflowV2DagRunner(
        config=kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(display_name=config.name, default_image=image),
        output_dir=str(output.resolve().parent),
        output_filename=output.name,
    )
    runner.run(pipeline, write_out=True)


def main() -> None:
    """Reads the command line and compiles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, required=True, help="a run's config, such as configs/demo.yaml")
    parser.add_argument("--data", required=True, help="folder of the log's files, as the containers see it")
    parser.add_argument("--pipeline-root", required=True, help="where artifacts lie")
    parser.add_argument("--serving-model-dir", required=True, help="base path of the pushed versions")
    parser.add_argument("--image", required=True, help="container image with this project installed")
    parser.add_argument("--output", type=Path, default=Path("pipeline.json"), help="default: %(default)s")
    parser.add_argument("--without-baseline", action="store_true", help="leave out the last blessed model")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="overrides a config key")
    arguments = parser.parse_args()
    compile_pipeline(
        load_config(arguments.config, arguments.set),
        data_dir=arguments.data,
        pipeline_root=arguments.pipeline_root,
        serving_model_dir=arguments.serving_model_dir,
        image=arguments.image,
        output=arguments.output,
        with_baseline=not arguments.without_baseline,
    )
    print(f"written to {arguments.output}")


if __name__ == "__main__":
    main()
