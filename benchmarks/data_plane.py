"""The project's data plane as a pipeline of its own: from a log to transformed examples."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

from tfx import v1 as tfx
from tfx.orchestration.local.local_dag_runner import LocalDagRunner

from data.spec import DatasetSpec
from pipeline.components.log_example_gen import LogExampleGen
from pipeline.components.schema_from_spec import SchemaFromSpec
from pipeline.components.transform import Transform
from pipeline.components.vocabulary_gen import VocabularyGen
from pipeline.config_file import load_config
from pipeline.pipeline import beam_pipeline_args
from pipeline.run_results import read_results
from pipeline.settings import PipelineConfig

INGESTION = ("LogExampleGen",)
TRANSFORM = ("VocabularyGen", "Transform")


def run_ours(spec: DatasetSpec, data_dir: Path, output: Path, workers: int) -> dict[str, float]:
    """Runs the four components; returns their seconds by name."""
    example_gen = LogExampleGen(dataset=spec, data_dir=str(data_dir))
    schema = SchemaFromSpec(dataset=spec.model_dump_json(), group_key=spec.roles.user)
    vocabulary_gen = VocabularyGen(columns=example_gen.outputs["columns"], dataset=spec)
    transform = Transform(
        columns=example_gen.outputs["columns"],
        schema=schema.outputs["schema"],
        vocabularies=vocabulary_gen.outputs["vocabularies"],
        dataset=spec,
    )
    return run_components(
        "ours", [example_gen, schema, vocabulary_gen, transform], output, PipelineConfig(workers=workers)
    )


def run_components(name: str, components: list[Any], output: Path, config: PipelineConfig) -> dict[str, float]:
    """Runs components as a pipeline, none from the cache; returns their seconds by name."""
    metadata = output / "metadata.sqlite"
    output.mkdir(parents=True, exist_ok=True)
    LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name=name,
            pipeline_root=str(output / "artifacts"),
            components=components,
            enable_cache=False,
            metadata_connection_config=tfx.orchestration.metadata.sqlite_metadata_connection_config(str(metadata)),
            beam_pipeline_args=beam_pipeline_args(config),
        )
    )
    return {name: result.seconds for name, result in read_results(metadata).items()}


def main() -> None:
    """Runs the data plane on a log and writes the components' seconds to a file, in a process that can be measured."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    seconds = run_ours(load_config(arguments.config).dataset, arguments.data, arguments.output, arguments.workers)
    (arguments.output / "seconds.json").write_text(json.dumps(seconds))


if __name__ == "__main__":
    main()
