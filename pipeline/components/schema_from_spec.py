"""SchemaFromSpec: the dataset spec as a TFX Schema artifact."""

import os

from google.protobuf import text_format
from tfx import v1 as tfx

from data.spec import DatasetSpec
from pipeline.schema import build_schema


@tfx.dsl.components.component
def SchemaFromSpec(  # noqa: N802 (a component, named like TFX's own)
    dataset: tfx.dsl.components.Parameter[str],
    schema: tfx.dsl.components.OutputArtifact[tfx.types.standard_artifacts.Schema],
) -> None:
    """Writes the schema that ExampleValidator and Transform go by.

    Args:
      dataset: A `DatasetSpec` as JSON.
      schema: Where `schema.pbtxt` is written.
    """
    text = text_format.MessageToString(build_schema(DatasetSpec.model_validate_json(dataset)))
    with tfx.dsl.io.fileio.open(os.path.join(schema.uri, "schema.pbtxt"), "w") as file:
        file.write(text)
