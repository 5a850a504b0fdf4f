"""SchemaFromSpec: the dataset spec as TFX Schema artifacts."""

import os

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx

from data.spec import DatasetSpec
from pipeline.schema import build_schema
from pipeline.schema import evaluation_schema as part_for_evaluation


@tfx.dsl.components.component
def SchemaFromSpec(  # noqa: N802 (a component, named like TFX's own)
    dataset: tfx.dsl.components.Parameter[str],
    group_key: tfx.dsl.components.Parameter[str],
    schema: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Schema],
    evaluation_schema: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Schema],
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
    with tfx.dsl.io.fileio.open(os.path.join(folder, "schema.pbtxt"), "w") as file:
        file.write(text_format.MessageToString(schema))
