"""Arrow to tf.Examples, and what ExampleValidator says of them."""

import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv

from data.example_encoding import encode_examples
from pipeline.schema import build_schema, evaluation_schema
from tests.pipeline.test_preprocessing import SCHEMA, SPEC, row


def encode(rows: list[dict]) -> list[bytes]:
    batch = pa.RecordBatch.from_pylist(rows, schema=SCHEMA)
    return [example for part in encode_examples(batch) for example in part.to_pylist()]


def test_values_keep_their_types_and_a_missing_value_is_no_value() -> None:
    rows = [row(user=2**60, item="é", color=None, age=0.5), row(user=-1, color="", age=None, price=None)]
    first, second = (tf.train.Example.FromString(example).features.feature for example in encode(rows))
    assert first["user"].int64_list.value == [2**60]
    assert first["item"].bytes_list.value == ["é".encode()]
    assert first["age"].float_list.value == [0.5]
    assert "color" not in first
    assert second["color"].bytes_list.value == [b""]
    assert {"age", "price"}.isdisjoint(second)
    assert second["views"].float_list.value == [0.0]


@pytest.mark.parametrize("rows", [[], [row(color=None)] * 3, [row(), row(color=None)] * 2 + [row()]])
def test_encoding_a_batch_equals_encoding_its_rows(rows: list[dict]) -> None:
    def features(example: bytes) -> dict:
        return dict(tf.train.Example.FromString(example).features.feature)

    assert [features(e) for e in encode(rows)] == [features(e) for r in rows for e in encode([r])]


def anomalies(tmp_path, rows: list[dict]) -> dict[str, str]:
    """What TFDV finds in rows, by feature."""
    path = str(tmp_path / "rows")
    with tf.io.TFRecordWriter(path) as writer:
        for example in encode(rows):
            writer.write(example)
    statistics = tfdv.generate_statistics_from_tfrecord(path)
    found = tfdv.validate_statistics(statistics, build_schema(SPEC)).anomaly_info
    return {name: info.description for name, info in found.items()}


def test_rows_as_the_spec_promises_have_no_anomaly(tmp_path) -> None:
    assert anomalies(tmp_path, [row(), row(color=None, age=None, price=None, views=None, tab="feed", click=1)]) == {}


def test_a_label_a_domain_or_a_missing_user_that_the_spec_rules_out_is_an_anomaly(tmp_path) -> None:
    found = anomalies(tmp_path, [row(click=2), row(tab="market"), row(user=None)])
    assert set(found) == {"click", "tab", "user"}


def test_the_evaluator_sees_only_what_its_metrics_read() -> None:
    names = {feature.name for feature in evaluation_schema(build_schema(SPEC), SPEC, SPEC.roles.user).feature}
    assert names == {"click", "user", "tab"}
