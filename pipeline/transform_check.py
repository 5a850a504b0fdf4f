"""Whether the transform graph, which is served, does what the kernels did, whose output is trained on."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from data.column_files import read_columns
from data.example_encoding import encode_examples
from data.fitted_fields import FittedFields
from data.spec import DatasetSpec
from data.transformed_columns import ColumnTransform

# Rows of a run that are transformed both ways.
_ROWS = 1000


def check_transform(output: tft.TFTransformOutput, spec: DatasetSpec, fitted: FittedFields, columns: str) -> None:
    """Transforms rows both ways.

    Args:
      output: The graph.
      spec: The dataset.
      fitted: What graph and kernels were made from.
      columns: A Parquet file of columns, whose first rows are taken.

    Raises:
      RuntimeError: The results differ.
    """
    names = [*(field.name for field in spec.raw_inputs), spec.roles.label, spec.roles.time.column]
    rows = {name: column.slice(0, _ROWS) for name, column in read_columns(columns, names).items()}
    plain = [c.dictionary_decode() if pa.types.is_dictionary(c.type) else c for c in rows.values()]
    difference = first_difference(output, ColumnTransform(spec, fitted), pa.RecordBatch.from_arrays(plain, names))
    if difference is not None:
        raise RuntimeError(f"the transform graph and the kernels differ: {difference}")


def first_difference(output: tft.TFTransformOutput, transform: ColumnTransform, rows: pa.RecordBatch) -> str | None:
    """What differs between the two ways to transform rows of the joined log; None where nothing does.

    Numbers may differ in the last digit of a float32.
    """
    by_kernels = transform(dict(zip(rows.schema.names, rows.columns, strict=True)))
    examples = np.concatenate([part.to_numpy(zero_copy_only=False) for part in encode_examples(rows)])
    parsed = tf.io.parse_example(tf.constant(examples, tf.string), output.raw_feature_spec())
    by_graph = output.transform_features_layer()(parsed)
    if set(by_graph) != set(by_kernels.schema.names):
        return f"features {sorted(by_graph)} and {sorted(by_kernels.schema.names)}"
    for name, column in zip(by_kernels.schema.names, by_kernels.columns, strict=True):
        expected, found = by_graph[name].numpy(), _array(column)
        same = np.isclose(found, expected, rtol=1e-6, atol=1e-7) if found.dtype == np.float32 else found == expected
        if not np.all(same):
            row = int(np.argwhere(~np.asarray(same))[0][0])
            return f"{name} of row {row} is {expected[row]} by the graph and {found[row]} by the kernels"
    return None


def _array(column: pa.Array) -> np.ndarray:
    if pa.types.is_fixed_size_list(column.type):
        values: np.ndarray = column.flatten().to_numpy(zero_copy_only=False)
        return values.reshape(len(column), -1)
    if pa.types.is_string(column.type):
        column = column.cast(pa.binary())
    found: np.ndarray = column.to_numpy(zero_copy_only=False)
    return found
