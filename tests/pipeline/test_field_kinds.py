"""Multi-valued fields and vectors from the transform graph to a served model's scores."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from hypothesis import given, settings
from hypothesis import strategies as st

from data.example_encoding import encode_examples as serialized
from data.field_counts import count_fields
from data.fitted_fields import FittedFields, fit_fields
from data.readers.column import Column
from data.readers.values import parse_column
from data.spec import DatasetSpec
from data.transformed_columns import ColumnTransform
from models.export import export
from models.trainer import feature_layout
from models.zoo import build_model
from pipeline.schema import build_schema
from pipeline.scorers import SavedModelScorer
from pipeline.transform_check import first_difference
from pipeline.transform_graph import write_transform_graph
from serving.examples import encode_examples
from serving.local_model import LocalModel
from serving.rows import RowsLike, as_table
from serving.scoring_input import open_source
from tests.models.small_model import small_config

SPEC = DatasetSpec.model_validate(
    {
        "name": "films",
        "layout": "csv",
        "roles": {"user": "user", "item": "film", "domain": "page", "label": "click", "time": {"column": "ms"}},
        "domains": ["home", "feed"],
        "min_count": 1,
        "features": [
            {"name": "genres", "kind": "multi_valued", "separator": "|", "max_values": 3, "missing": ["?"]},
            {"name": "look", "kind": "vector", "width": 2},
            {"name": "price", "kind": "numeric", "transform": "standardize"},
        ],
    }
)
TEXTS = Column("genres", "texts", missing=("?",), separator="|")


def rows(genres: list, look: list) -> pa.RecordBatch:
    count = len(genres)
    columns = {
        "user": pa.array([f"u{n % 3}" for n in range(count)]),
        "film": pa.array([f"f{n % 2}" for n in range(count)]),
        "page": pa.array(["home", "feed"] * count, pa.string())[:count],
        "click": pa.array([n % 2 for n in range(count)]),
        "ms": pa.array(range(count), pa.int64()),
        "genres": parse_column(pa.array(genres, pa.string()), TEXTS).values,
        "look": pa.array(look, pa.list_(pa.float32())),
        "price": pa.array(np.arange(count) / 2, pa.float32()),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


TRAINING = rows(["war|art", "é|art|art", None, "x|y|z|war"], [[0.5, 2.0], None, [1.0, -1.0], [0.0, 0.0]])


@pytest.fixture(scope="module")
def fitted() -> FittedFields:
    columns = dict(zip(TRAINING.schema.names, TRAINING.columns, strict=True))
    return fit_fields(count_fields(columns, SPEC.fields, "one"), SPEC)


@pytest.fixture(scope="module")
def output(fitted: FittedFields) -> tft.TFTransformOutput:
    folder = tempfile.mkdtemp()
    write_transform_graph(SPEC, fitted, build_schema(SPEC), folder)
    return tft.TFTransformOutput(folder)


VECTORS = st.none() | st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=2)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.none() | st.text("warté|?xyz \t", max_size=12), VECTORS), min_size=1, max_size=8))
def test_graph_and_kernels_agree_on_odd_values(
    fitted: FittedFields, output: tft.TFTransformOutput, drawn: list
) -> None:
    batch = rows([text for text, _ in drawn], [vector for _, vector in drawn])
    assert first_difference(output, ColumnTransform(SPEC, fitted), batch) is None


@pytest.fixture(scope="module")
def model(output: tft.TFTransformOutput, tmp_path_factory: pytest.TempPathFactory) -> LocalModel:
    folder = tmp_path_factory.mktemp("served") / "1"
    model = build_model(small_config(), feature_layout(SPEC, output), 0)
    model.make_weights()
    export(model, output, SPEC, str(folder))
    with LocalModel(folder) as loaded:
        yield loaded


CALLER = {
    "user": ["u1", "u2", "u0"],
    "film": ["f0", "f1", "f1"],
    "page": ["home", "feed", "feed"],
    "price": [1.0, 2.0, 0.5],
    "genres": ["war|art|new", "", "é"],
    "look": [[0.5, 2.0], [1.0, 0.0], [0.25, -1.0]],
}


def score(model: LocalModel, rows: RowsLike) -> np.ndarray:
    types = model.feature_types()
    return model.predict(encode_examples(as_table(rows, types), types))


def test_every_way_to_ask_gives_the_same_scores(model: LocalModel, tmp_path: Path) -> None:
    expected = model._servable.predict(
        "serving_raw",
        {
            name: np.array(values, object if isinstance(values[0], str) else np.float32)
            for name, values in CALLER.items()
        },
        ["probability"],
    )["probability"]
    dicts = [dict(zip(CALLER, row, strict=True)) for row in zip(*CALLER.values(), strict=True)]
    assert len(set(expected.tolist())) == 3
    lists = [{**row, "genres": row["genres"].split("|"), "look": np.array(row["look"])} for row in dicts]
    texts = [{**row, "look": " ".join(map(str, row["look"]))} for row in dicts]
    for same in (dicts, lists, texts, pa.Table.from_pylist(dicts)):
        np.testing.assert_allclose(score(model, same), expected, rtol=1e-6)
    table = pa.Table.from_pylist([{**row, "genres": row["genres"].split("|")} for row in dicts])
    pq.write_table(table, tmp_path / "rows.parquet")
    lines = ["|".join(CALLER)] + [",".join(f'"{str(v)}"' for v in row.values()) for row in dicts]
    (tmp_path / "rows.csv").write_text("\n".join([lines[0].replace("|", ","), *lines[1:]]) + "\n")
    for name, kind in (("rows.parquet", "parquet"), ("rows.csv", "csv")):
        (chunk,) = open_source(tmp_path / name, kind, model.feature_types(), ["user"]).chunks()
        assert chunk.failed == []
        np.testing.assert_allclose(model.predict(chunk.examples), expected, rtol=1e-6)


def test_columns_and_examples_of_odd_rows_have_the_same_scores(model: LocalModel) -> None:
    batch = rows(["war|art|new", None, "é|| |war", "?"] * 2, [[0.5, 2.0], None, [1e30, -1.0], [0.0, 0.0]] * 2)
    for name, values in {"price": [None, 0.5], "page": ["feed", "shop"]}.items():
        place = batch.schema.get_field_index(name)
        odd = pa.array(values * 4, batch.schema.field(place).type)
        batch = pa.RecordBatch.from_arrays(
            [odd if i == place else column for i, column in enumerate(batch.columns)], names=batch.schema.names
        )
    scorer = SavedModelScorer(model.directory, SPEC.raw_inputs)
    found = scorer.score(batch, 3)
    scorer.close()
    names = list(model.feature_types())
    columns = [batch.column(batch.schema.get_field_index(name)) for name in names]
    (examples,) = serialized(pa.RecordBatch.from_arrays(columns, names=names))
    np.testing.assert_allclose(found, model.predict(examples.to_pylist()), rtol=1e-6)
    assert len(set(found.tolist())) > 4


def test_a_missing_vector_is_zeros_and_one_of_another_width_an_error(model: LocalModel) -> None:
    row = {name: values[0] for name, values in CALLER.items()}
    zeros, missing, unknown = score(
        model, [{**row, "look": [0.0, 0.0]}, {**row, "look": None}, {**row, "look": [float("nan")] * 2}]
    )
    assert zeros == missing == unknown
    with pytest.raises(ValueError, match=r"column look, row 0: .* is not a vector of 2 numbers"):
        score(model, [{**row, "look": [1.0, 2.0, 3.0]}])
    example = tf.train.Example()
    for name in ("user", "film", "page"):
        example.features.feature[name].bytes_list.value.append(row[name].encode())
    example.features.feature["look"].float_list.value.extend([1.0])
    with pytest.raises(Exception, match="look: expected 2 numbers"):
        model.predict([example.SerializeToString()])
