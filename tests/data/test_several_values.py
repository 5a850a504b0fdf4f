"""Multi-valued fields and vectors: what the readers make of them, and how their values are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from data.errors import InputError
from data.example_encoding import encode_examples
from data.field_counts import add_counts, count_fields
from data.fitted_fields import fit_fields
from data.readers import open_reader
from data.readers.column import Column
from data.readers.values import parse_column
from data.record_framing import frame_records
from data.row_ledger import RowLedger
from data.spec import DatasetSpec
from data.transformed_columns import ColumnTransform

SPEC = {
    "name": "films",
    "layout": "csv",
    "roles": {"user": "user", "item": "film", "domain": "page", "label": "click", "time": {"column": "ms"}},
    "domains": ["home"],
    "min_count": 2,
    "features": [
        {"name": "genres", "kind": "multi_valued", "separator": "|", "max_values": 3, "missing": ["?"]},
        {"name": "look", "kind": "vector", "width": 2},
    ],
}
GENRES = Column("genres", "texts", missing=("?",), separator="|")
LOOK = Column("look", "vector", width=2)


def spec(**changes: Any) -> DatasetSpec:
    return DatasetSpec.model_validate({**SPEC, **changes})


def with_feature(**feature: Any) -> DatasetSpec:
    return spec(features=[{"name": "genres", **feature}])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (["a|b", " é | b||b", "?", "", None, "|", "a|?"], [["a", "b"], ["é", "b", "b"], None, None, None, None, ["a"]]),
        ([["a", "b|c"], [], None, ["?"], [" "], ["x", None]], [["a", "b", "c"], None, None, None, None, ["x"]]),
        ([[1, 2], [-3]], [["1", "2"], ["-3"]]),
        (pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int64(), 2)), [["1", "2"], None, ["3", "4"]]),
        ([[1.0, float("nan")], [2.5]], [["1"], ["2.5"]]),
        ([7, None], [["7"], None]),
        ([b"a|b"], [["a", "b"]]),
        ([[b"a", b"b"]], [["a", "b"]]),
        ([None, None], [None, None]),
        ([], []),
    ],
)
def test_texts_and_lists_become_lists_of_values(raw: Any, expected: list[Any]) -> None:
    whole = raw if isinstance(raw, pa.Array) else pa.array(raw)
    for array in (whole, pa.concat_arrays([whole, whole]).slice(len(raw))):
        parsed = parse_column(array, GENRES)
        assert parsed.bad is None
        assert parsed.values.to_pylist() == expected


@pytest.mark.parametrize(
    ("raw", "expected", "bad"),
    [
        (["1,2", "[0.5 -1e3]", "", None, "1;2", "[]"], [[1, 2], [0.5, -1000], None, None, [1, 2], None], []),
        (["1", "1,2,3", "1,x", "nan,1", "1e60,1", "3|4"], [None, None, None, None, None, [3, 4]], [0, 1, 2, 3, 4]),
        ([[1, 2], [], None, [3]], [[1, 2], None, None, None], [3]),
        ([[1.5, 2.0], [1.0, None]], [[1.5, 2], None], [1]),
    ],
)
def test_vectors_are_of_the_given_width_or_wrong(raw: list[Any], expected: list[Any], bad: list[int]) -> None:
    parsed = parse_column(pa.array(raw), LOOK)
    assert parsed.values.to_pylist() == expected
    assert ([] if parsed.bad is None else np.flatnonzero(parsed.bad).tolist()) == bad


ROWS = [
    {"user": "u", "film": "f", "page": "home", "click": 1, "ms": 5, "genres": ["war", "art"], "look": [0.5, 2.0]},
    {"user": "v", "film": "g", "page": "home", "click": 0, "ms": 6, "genres": ["art"], "look": None},
    {"user": "w", "film": "f", "page": "home", "click": 0, "ms": 7, "genres": None, "look": [-1.0, 0.0]},
]
SCHEMA = pa.schema(
    {
        "user": pa.string(),
        "film": pa.string(),
        "page": pa.string(),
        "click": pa.int64(),
        "ms": pa.int64(),
        "genres": pa.list_(pa.string()),
        "look": pa.list_(pa.float32()),
    }
)


def write_log(folder: Path, layout: str) -> None:
    table = pa.Table.from_pylist(ROWS, schema=SCHEMA)
    if layout == "parquet":
        pq.write_table(table, folder / "log.parquet")
    elif layout == "tfrecord":
        (folder / "log.tfrecord").write_bytes(
            b"".join(frame_records(part) for batch in table.to_batches() for part in encode_examples(batch))
        )
    else:
        text = (
            'user,film,page,click,ms,genres,look\nu,f,home,1,5,war|art,"0.5,2"\nv,g,home,0,6,art,\nw,f,home,0,7,,-1 0\n'
        )
        (folder / "log.csv").write_text(text)


@pytest.mark.parametrize("layout", ["csv", "parquet", "tfrecord"])
def test_every_layout_gives_the_same_rows(tmp_path: Path, layout: str) -> None:
    write_log(tmp_path, layout)
    table = pa.Table.from_batches(open_reader(spec(layout=layout), tmp_path).batches())
    assert table.select(SCHEMA.names).to_pylist() == ROWS


def test_a_vector_of_another_width_is_named_with_its_place(tmp_path: Path) -> None:
    write_log(tmp_path, "csv")
    with (tmp_path / "log.csv").open("a") as file:
        file.write("w,f,home,0,8,art,1 2 3\n")
    reader = open_reader(spec(), tmp_path)
    with pytest.raises(InputError, match="line 5, column 'look': found '1 2 3', expected 2 finite numbers"):
        list(reader.batches())
    ledger = RowLedger(max_share=0.5)
    assert sum(batch.num_rows for batch in reader.batches(ledger=ledger)) == 3
    assert ledger.quarantined == {"wrong_type": 1}


def test_values_are_counted_once_a_row_as_pandas_counts_them() -> None:
    rng = np.random.default_rng(0)
    lists = [[f"é{value}" for value in rng.integers(0, 9, rng.integers(0, 6))] or None for _ in range(500)]
    fields = [field for field in spec().fields if field.name == "genres"]
    parts = [pa.array(lists[:200]), pa.array(lists[200:])]
    counts = add_counts(count_fields({"genres": part}, fields, str(n)) for n, part in enumerate(parts))["genres"]
    kept = pd.Series([sorted(set((values or [])[:3])) for values in lists]).explode().dropna()
    assert dict(counts.values.to_pandas().itertuples(index=False)) == kept.value_counts().to_dict()
    assert counts.rows == 500
    assert counts.missing == sum(values is None for values in lists)
    assert counts.cut == sum(len(values or []) > 3 for values in lists)


def test_ids_lie_side_by_side_and_vectors_behind_the_numbers() -> None:
    described = spec(min_count=1)
    batch = pa.RecordBatch.from_pylist(ROWS, schema=SCHEMA)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    fitted = fit_fields(count_fields(columns, described.fields, "one"), described)
    assert fitted.vocabularies["genres"]["value"].to_pylist() == ["art", "war"]
    assert fitted.summary["genres"]["rows_cut"] == 0
    odd = {**columns, "genres": pa.array([["war", "war", "art", "art"], ["rare"], None])}
    transformed = ColumnTransform(described, fitted)(odd)
    assert [row[2:] for row in transformed["ids"].to_pylist()] == [[2, 2, 1], [0, -1, -1], [0, -1, -1]]
    assert transformed["values"].to_pylist() == [[0.5, 2], [0, 0], [-1, 0]]


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ({"kind": "vector"}, "a vector needs its `width`"),
        ({"kind": "vector", "width": 2, "dtype": "string"}, "a vector field is float32, found string"),
        ({"kind": "multi_valued", "dtype": "int64"}, "expected the dtype string, found int64"),
        ({"max_values": 3}, "`max_values` is for a multi_valued field, found the kind categorical"),
        ({"kind": "numeric", "width": 3}, "`width` is for a vector field, found the kind numeric"),
        ({"kind": "multi_valued", "missing": ["a,b"]}, "`missing` is of single values, found the separator in 'a,b'"),
        ({"kind": "multi_valued", "max_values": 0}, "greater than or equal to 1"),
        ({"kind": "multi_valued", "separator": ""}, "at least 1 character"),
    ],
)
def test_what_a_kind_does_not_have_is_refused(feature: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        with_feature(**feature)


def test_user_item_and_domain_have_one_value() -> None:
    with pytest.raises(ValidationError, match="must be a categorical feature, found multi_valued"):
        spec(features=[{"name": "film", "kind": "multi_valued"}])
