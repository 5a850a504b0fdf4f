"""The transform graph, traced without looking at a row: what TFX calls a TransformGraph."""

from __future__ import annotations

import functools
import json
import os
import tempfile

import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import impl_helper
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from data.fitted_fields import FittedFields
from data.spec import DatasetSpec
from data.vocabulary import default_value, vocabulary_file_name
from pipeline.preprocessing import preprocess


def write_transform_graph(spec: DatasetSpec, fitted: FittedFields, schema: schema_pb2.Schema, folder: str) -> None:
    """Writes what `tft.TFTransformOutput` reads: the graph with its vocabularies, and both schemas.

    Args:
      spec: The dataset.
      fitted: What the training rows say about the fields.
      schema: Of the raw examples.
      folder: Where the graph goes.
    """
    feature_spec = schema_utils.schema_as_feature_spec(schema).feature_spec
    metadata_io.write_metadata(
        dataset_metadata.DatasetMetadata(schema), os.path.join(folder, tft.TFTransformOutput.RAW_METADATA_DIR)
    )
    with tempfile.TemporaryDirectory() as assets:
        files = {}
        for field in spec.fields:
            if field.has_vocabulary:
                files[field.name] = os.path.join(assets, vocabulary_file_name(field.name))
                _write_lines(files[field.name], fitted.vocabularies[field.name], default_value(field.raw_dtype))
        impl_helper.analyze_in_place(
            functools.partial(preprocess, spec=spec, fitted=fitted, vocabulary_files=files),
            False,
            feature_spec,
            {name: _type_spec(parse) for name, parse in feature_spec.items()},
            folder,
        )
    # By which `TFTransformOutput.vocabulary_file_by_name` finds a field's file.
    names = {name: os.path.basename(file) for name, file in files.items()}
    asset_map = os.path.join(folder, tft.TFTransformOutput.TRANSFORMED_METADATA_DIR, tft.TFTransformOutput.ASSET_MAP)
    with tf.io.gfile.GFile(asset_map, "w") as file:
        file.write(json.dumps(names))


def _write_lines(path: str, vocabulary: pa.Table, default: str | int) -> None:
    """The value on line n, from 0, has id n."""
    with open(path, "wb") as file:
        file.write(f"{default}\n".encode())
        for value in vocabulary["value"].cast(pa.string()).to_pylist():
            file.write(value.encode() + b"\n")


def _type_spec(parse: tf.io.FixedLenFeature | tf.io.VarLenFeature) -> tf.TypeSpec:
    if isinstance(parse, tf.io.FixedLenFeature):
        return tf.TensorSpec([None, *parse.shape], parse.dtype)
    return tf.SparseTensorSpec([None, None], parse.dtype)
