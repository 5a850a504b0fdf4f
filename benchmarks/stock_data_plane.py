"""TFX's own data plane on the same log: CsvExampleGen, then Transform with one tft vocabulary per field."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx

from benchmarks.data_plane import run_components
from data.spec import DatasetSpec
from pipeline.settings import PipelineConfig

INGESTION = ("CsvExampleGen",)
TRANSFORM = ("Transform",)


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """What a template would do: a vocabulary for each field, quantile buckets for each number."""
    spec = DatasetSpec.model_validate_json(custom_config["dataset"])
    outputs = {spec.roles.label: inputs[spec.roles.label]}
    for field in spec.fields:
        if field.kind == "numeric":
            outputs[field.name] = tft.bucketize(inputs[field.name], field.buckets)
        else:
            outputs[field.name] = tft.compute_and_apply_vocabulary(
                inputs[field.name], frequency_threshold=spec.min_count_of(field), vocab_filename=field.name
            )
    return outputs


def run_stock(spec: DatasetSpec, data_dir: Path, output: Path) -> dict[str, float]:
    """Runs the components; returns their seconds by name."""
    schema_dir = output / "schema"
    schema_dir.mkdir(parents=True)
    (schema_dir / "schema.pbtxt").write_text(text_format.MessageToString(_schema(spec)))
    example_gen = tfx.components.CsvExampleGen(input_base=str(data_dir))
    schema = tfx.components.ImportSchemaGen(schema_file=str(schema_dir / "schema.pbtxt"))
    transform = tfx.components.Transform(
        examples=example_gen.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="benchmarks.stock_data_plane.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(analyze=["train"], transform=["train", "eval"]),
        custom_config={"dataset": spec.model_dump_json()},
        disable_statistics=True,
        disable_analyzer_cache=True,
    )
    return run_components("stock", [example_gen, schema, transform], output, PipelineConfig(workers=1))


def _schema(spec: DatasetSpec) -> schema_pb2.Schema:
    types = {"string": schema_pb2.BYTES, "int64": schema_pb2.INT, "float32": schema_pb2.FLOAT}
    kinds = {field.name: types[field.raw_dtype] for field in spec.fields}
    kinds.update({spec.roles.label: schema_pb2.INT, spec.roles.time.column: schema_pb2.INT})
    schema = schema_pb2.Schema()
    for name, kind in kinds.items():
        feature = schema.feature.add(name=name, type=kind)
        feature.presence.min_fraction = 1.0
        feature.shape.dim.add(size=1)
    return schema
