"""SchemaFromSpec: the dataset spec as TFX Schema artifacts."""

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types.standard_artifacts import Schema

from data.spec import DatasetSpec
from pipeline.schema import build_schema
from pipeline.schema import evaluation_schema as part_for_evaluation


@component
def SchemaFromSpec(  # noqa: N802 (a component, named like TFX's own)
    dataset: Parameter[str],
    group_key: Parameter[str],
    schema: OutputArtifact[Schema],
    evaluation_schema: OutputArtifact[Schema],
) -> None:
    """Writes the schema that ExampleValidator and Transform go by, and the part of it that the Evaluator needs.

    Args:
      dataset: A `DatasetSpec` as JSON.
      group_key: Column that the gAUC is the mean over.
      schema: Where the whole `schema.pbtxt` is written.
      evaluation_schema: Where the Evaluator's `schema.pbtxt` is written.
    """
    spec = DatasetSpec.model_validate_json(dataset)
    whole = build_schema(spec)
    _write(whole, schema.uri)
    _write(part_for_evaluation(whole, spec, group_key), evaluation_schema.uri)


def _write(schema: schema_pb2.Schema, folder: str) -> None:
    with fileio.open(os.path.join(folder, "schema.pbtxt"), "w") as file:
        file.write(text_format.MessageToString(schema))
