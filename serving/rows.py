"""Rows in the forms that callers have them, as one Arrow table: dicts, Arrow, pandas."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any, Union

import numpy as np
import pyarrow as pa

from serving.columns import ColumnError, Columns

# A pandas DataFrame is meant by Any: pandas need not be installed.
RowsLike = Union[pa.Table, pa.RecordBatch, Sequence[Mapping[str, Any]], Any]


def as_table(rows: RowsLike, types: Columns | None = None) -> pa.Table:
    """Returns rows as a table with one column for each of a model's features.

    Args:
        rows: N rows: an Arrow table or record batch, a pandas DataFrame, or dicts, one a row. A key that is not
            there, None, NaN in a pandas column and null in an Arrow one are a missing value.
        types: The model's features and their types; a feature without a column is missing in every row. None to
            take the columns as they are.

    Raises:
        ColumnError: A column is no feature of the model (it is named, with the nearest feature), or a value of a
            dict cannot be had in its feature's type.
        TypeError: The rows are none of these.
    """
    table = _table(rows, types)
    if types is None:
        return table
    for name in table.schema.names:
        if name not in types:
            nearest = difflib.get_close_matches(name, list(types), n=1)
            hint = f" (nearest: {nearest[0]})" if nearest else ""
            raise ColumnError(f"the model has no feature {name}{hint}; its features are: {', '.join(types)}")
    columns = [table[name] if name in table.schema.names else pa.nulls(table.num_rows, types[name]) for name in types]
    return pa.table(columns, names=list(types))


def _table(rows: RowsLike, types: Columns | None) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows])
    if hasattr(rows, "to_numpy") and hasattr(rows, "columns"):
        return pa.Table.from_pandas(rows, preserve_index=False)
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        return _from_dicts(rows, types or {})
    raise TypeError(f"rows should be an Arrow table, a pandas DataFrame or a list of dicts, not {type(rows).__name__}")


def _from_dicts(rows: Sequence[Mapping[str, Any]], types: Columns) -> pa.Table:
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = [_column(name, [_plain(row.get(name)) for row in rows], types.get(name)) for name in names]
    if not names:
        # A table without columns has no rows; rows without values are still rows.
        if rows and not types:
            raise ColumnError("the rows have no value at all, and the model does not say what its features are")
        names, columns = list(types)[:1], [pa.nulls(len(rows), dtype) for dtype in list(types.values())[:1]]
    return pa.table(columns, names=names)


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(single) for single in value]
    return value.item() if isinstance(value, np.generic) else value


def _column(name: str, values: list[Any], wanted: pa.DataType | None) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        pass
    if wanted == pa.string() and any(isinstance(value, list) for value in values):
        lists = [value if value is None or isinstance(value, list) else [value] for value in values]
        return pa.array([None if value is None else [str(single) for single in value] for value in lists])
    # Rows that disagree about a type agree once they are text: {"user": 17} and {"user": "guest"}.
    if wanted == pa.string():
        return pa.array([value if value is None or isinstance(value, bytes) else str(value) for value in values])
    for row, value in enumerate(values):
        if not isinstance(value, (int, float, type(None))):
            raise ColumnError(f"column {name}, row {row}: {value!r} is not a {wanted or 'value of one type'}")
    return pa.array([None if value is None else float(value) for value in values])
