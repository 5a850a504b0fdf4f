import copy

import numpy as np
import pytest
from tensorflow_model_analysis.api.types import SparseTensorValue, VarLenTensorValue
from tensorflow_model_analysis.proto import config_pb2

from pipeline.metrics.row_preprocessor import ROWS_KEY, RowPreprocessor, prediction_key

USER = {"user": np.array([b"ann"], dtype=object), "tab": np.array([4])}
EXTRACTS = {"labels": np.array([1]), "predictions": np.array([0.25], np.float32), "features": USER}
EXPECTED = (1, 0.25, b"ann")


def process(extracts, model_name="", output_name="", key=""):
    (batch,) = RowPreprocessor("user", model_name, output_name, key).process(extracts)
    (row,) = zip(*(column.tolist() for column in batch), strict=True)
    return row


@pytest.mark.parametrize(
    "prediction",
    [0.25, np.float32(0.25), np.array(0.25), np.array([0.25]), np.array([[0.25]]), {"ctr": np.array([0.25])}],
)
def test_one_prediction_in_any_form(prediction):
    assert process(EXTRACTS | {"predictions": prediction}) == EXPECTED


@pytest.mark.parametrize(
    ("names", "predictions"),
    [
        ({"model_name": "candidate"}, {"candidate": np.array([0.25]), "baseline": np.array([0.5])}),
        ({"output_name": "ctr"}, {"ctr": np.array([0.25]), "cvr": np.array([0.5])}),
        ({"key": "ctr"}, {"ctr": np.array([0.25]), "cvr": np.array([0.5])}),
        ({"key": "ctr"}, np.array([0.25])),  # TFMA has already taken a single output out of its dictionary
        ({"model_name": "m", "output_name": "o", "key": "p"}, {"m": {"o": {"p": [0.25], "q": [0.5]}}}),
    ],
)
def test_the_prediction_of_a_model_an_output_and_a_key(names, predictions):
    assert process(EXTRACTS | {"predictions": predictions}, **names) == EXPECTED


def test_labels_may_come_by_model_and_output():
    assert process(EXTRACTS | {"labels": {"m": np.array([1])}, "predictions": {"m": [0.25]}}, "m") == EXPECTED
    assert process(EXTRACTS | {"labels": {"o": np.array([1.0])}, "predictions": {"o": [0.25]}}, "", "o") == EXPECTED


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        (np.array([7]), 7),
        (np.array([[2**62 + 1]]), 2**62 + 1),
        (np.array([b"a\x00"], dtype=object), b"a\x00"),
        (SparseTensorValue(np.array([b"ann"], dtype=object), np.array([[0]]), np.array([1])), b"ann"),
        (VarLenTensorValue(np.array([b"ann"], dtype=object), np.array([[0, 0]]), np.array([1, 1])), b"ann"),
    ],
)
def test_the_user_is_an_int_or_bytes(user, expected):
    assert process(EXTRACTS | {"features": {"user": user}})[2] == expected


def test_many_rows_at_once():
    extracts = {
        ROWS_KEY: 2,
        "labels": np.array([[1], [0]]),
        "predictions": {"ctr": np.array([[0.25], [0.5]])},
        "features": {"user": np.array([b"ann", b"bob"], object)},
    }
    (batch,) = RowPreprocessor("user", "", "", "").process(extracts)
    assert [column.tolist() for column in batch] == [[1, 0], [0.25, 0.5], [b"ann", b"bob"]]
    with pytest.raises(ValueError, match="prediction must be a single value a row"):
        list(RowPreprocessor("user", "", "", "").process(extracts | {"predictions": np.zeros((2, 2))}))
    with pytest.raises(ValueError, match=r"labels must be 0 or 1, found \{'label': 7"):
        list(RowPreprocessor("user", "", "", "").process(extracts | {"labels": np.array([0, 7])}))


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [
        ({"labels": np.array([3])}, r"labels must be 0 or 1, found \{'label': 3, 'score': 0.25, 'user': b'ann'\}"),
        ({"labels": np.array([np.nan])}, r"labels must be 0 or 1, found \{'label': nan"),
        ({"labels": np.array([])}, "label must be a single value a row"),
        ({"labels": None}, "label must be a single value a row, found None"),
        ({"labels": {"other": 1}}, "no label for model '', output ''"),
        ({"predictions": np.array([0.1, 0.9])}, "prediction must be a single value a row"),
        ({"predictions": {"b": 0.1, "a": 0.9}}, r"outputs \['a', 'b'\]: name one as ModelSpec.prediction_key"),
        ({"features": {"tab": 1}}, r"no feature 'user' \(user_key\) among \['tab'\]"),
        ({"features": {"user": np.array([1, 2])}}, "feature 'user' must be a single value a row"),
        ({"features": {"user": None}}, "feature 'user' must be a single value a row"),
    ],
)
def test_bad_rows_are_refused_in_words(spoiled, message):
    with pytest.raises(ValueError, match=message):
        process(copy.copy(EXTRACTS) | spoiled)


def test_rows_without_a_group_are_one_group():
    nothing = SparseTensorValue(np.array([], object), np.empty((0, 2), np.int64), np.array([1, 1]))
    assert process(EXTRACTS | {"features": {"user": nothing}})[2] == b"(missing)"
    extracts = {ROWS_KEY: 3, "labels": np.array([1, 0, 1]), "predictions": np.array([0.1, 0.2, 0.3])}
    (batch,) = RowPreprocessor("user", "", "", "").process(
        extracts | {"features": {"user": np.array([b"ann", None, None], object)}}
    )
    assert batch.users.tolist() == [b"ann", b"(missing)", b"(missing)"]


def test_names_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match=r"no prediction 'candidate' among \['baseline'\]"):
        process(EXTRACTS | {"predictions": {"baseline": 0.5}}, model_name="candidate")
    with pytest.raises(ValueError, match=r"no prediction 'ctr' among \['cvr'\]"):
        process(EXTRACTS | {"predictions": {"cvr": 0.5}}, key="ctr")


def test_prediction_key_is_the_models_own():
    one = config_pb2.EvalConfig(model_specs=[config_pb2.ModelSpec(name="any", prediction_key="a")])
    two = config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(name="candidate", prediction_key="a"),
            config_pb2.ModelSpec(name="baseline", prediction_key="b", is_baseline=True),
        ]
    )
    assert prediction_key(None, "") == ""
    assert prediction_key(one, "") == "a"
    assert (prediction_key(two, "candidate"), prediction_key(two, "baseline")) == ("a", "b")
