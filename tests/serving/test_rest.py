"""The REST API: both formats, every type, and every row of TensorFlow Serving's error table that it can answer."""

import base64
import json
import math

import numpy as np
import pytest

from serving import json_requests, json_values
from serving.protos import DataType, SignatureDef
from serving.server import ModelServer
from tests.serving.conftest import Rows
from tests.serving.rest import ask, get, post

PREDICT = "/v1/models/classic:predict"


def numbers(**changes: object) -> dict[str, object]:
    return {"float": [[1.5]], "double": [[0.1]], "int32": [[1]], "int64": [[2**60]], "bool": [[True]]} | changes


def test_columns_of_every_type(classic: ModelServer) -> None:
    status, answer = post(classic.rest_address, PREDICT, {"signature_name": "numbers", "inputs": numbers()})
    assert (status, answer) == (
        200,
        {"outputs": {"float": [[3.0]], "double": [[0.2]], "int32": [[1]], "int64": [[2**60]], "bool": [[True]]}},
    )


def test_rows_of_several_tensors(classic: ModelServer) -> None:
    row = {"float": [1], "double": [2], "int32": [3], "int64": [4], "bool": [False]}
    status, answer = post(
        classic.rest_address, PREDICT, {"signature_name": "numbers", "instances": [row, row | {"float": [0.2]}]}
    )
    assert status == 200
    first, second = answer["predictions"]
    assert first == {"float": [2.0], "double": [4.0], "int32": [3], "int64": [4], "bool": [False]}
    assert second["float"] == [pytest.approx(0.4)]


def test_a_single_tensor_has_no_name(classic: ModelServer) -> None:
    for body, expected in (
        ({"instances": [[1, 2], [3, 4]]}, {"predictions": [3.0, 7.0]}),
        ({"instances": [{"matrix": [1, 2]}]}, {"predictions": [3.0]}),
        ({"inputs": [[1, 2]]}, {"outputs": [3.0]}),
        ({"inputs": {"matrix": [[1, 2]]}}, {"outputs": [3.0]}),
    ):
        assert post(classic.rest_address, PREDICT, {"signature_name": "rows", **body}) == (200, expected)


def test_numbers_that_are_none(classic: ModelServer) -> None:
    body = '{"signature_name": "rows", "instances": [[NaN, 1], [Infinity, 1], [-Infinity, 1], [0.1, 0.1]]}'
    status, _, text = ask(classic.rest_address, "POST", PREDICT, body)
    assert status == 200
    # As JSON's own reader does not print them: the tokens themselves, and a float with no noise of its double.
    assert "[NaN, Infinity, -Infinity, 0.2]" in text


def test_base64_and_bytes(classic: ModelServer) -> None:
    raw = {"b64": base64.b64encode(b"\xff\x00").decode()}
    status, answer = post(classic.rest_address, PREDICT, {"signature_name": "bytes", "instances": ["é", raw]})
    assert status == 200
    assert answer["predictions"][0] == {"raw": "é", "raw_bytes": {"b64": base64.b64encode("é".encode()).decode()}}
    assert answer["predictions"][1]["raw_bytes"] == raw


def test_classify_and_regress(classic: ModelServer) -> None:
    examples = {"examples": [{"x": 0.25}, {"x": [0.5]}]}
    for path, expected in (
        ("classify", [[["no", 0.75], ["yes", 0.25]], [["no", 0.5], ["yes", 0.5]]]),
        ("regress", [0.25, 0.5]),
    ):
        body = {"signature_name": path, **examples}
        assert post(classic.rest_address, f"/v1/models/classic/versions/1:{path}", body) == (200, {"results": expected})
    with_context = {"signature_name": "regress", "context": {"x": 0.75}, "examples": [{}, {"x": 0.5}]}
    assert post(classic.rest_address, "/v1/models/classic:regress", with_context)[1] == {"results": [0.75, 0.5]}


def test_status_and_metadata(classic: ModelServer) -> None:
    available = [{"version": "1", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}]
    for path in ("/v1/models/classic", "/V1/Models/classic/versions/1", "/v1/models/classic/labels/any"):
        assert get(classic.rest_address, path) == (200, {"model_version_status": available})
    status, answer = get(classic.rest_address, "/v1/models/classic/metadata")
    assert status == 200
    assert answer["model_spec"] == {"name": "classic", "signature_name": "", "version": "1"}
    signature = answer["metadata"]["signature_def"]["signature_def"]["rows"]
    assert signature["inputs"]["matrix"]["dtype"] == "DT_FLOAT"


ERRORS = {
    "no such model": (
        "POST", "/v1/models/m:predict", {"instances": [1]}, 404, "Servable not found for request: Latest(m)",
    ),
    "no such version": (
        "POST", "/v1/models/classic/versions/9:predict", {"instances": [1]}, 404,
        "Servable not found for request: Specific(classic, 9)",
    ),
    "no such label": (
        "POST", "/v1/models/classic/labels/L:predict", {"instances": [1]}, 400,
        "Unrecognized servable version label: L",
    ),
    "no such signature": (
        "POST", PREDICT, {"signature_name": "S", "instances": [1]}, 400,
        'Serving signature name: "S" not found in signature def',
    ),
    "no such signature for classify": (
        "POST", "/v1/models/classic:classify", {"signature_name": "S", "examples": [{}]}, 400,
        "No signature was found with the name: S",
    ),
    "no such signature for regress": (
        "POST", "/v1/models/classic:regress", {"signature_name": "S", "examples": [{}]}, 400,
        "No signature was found with the name: S",
    ),
    "empty": ("POST", PREDICT, "", 400, "JSON Parse error: The document is empty"),
    "no JSON": ("POST", PREDICT, "hello", 400, "JSON Parse error: Invalid value. at offset: 0"),
    "cut off": ("POST", PREDICT, '{"é": [1', 400,
                "JSON Parse error: Missing a comma or ] after an array element. at offset: 9"),
    "more after the end": ("POST", PREDICT, "{} {}", 400,
                           "JSON Parse error: The document root must not be followed by other values. at offset: 3"),
    "nested too deeply": ("POST", PREDICT, '{"instances": ' + "[" * 100_000, 400,
                          "JSON Parse error: The document is nested too deeply."),
    "no object": ("POST", PREDICT, "[1]", 400, "JSON Value: [\n    1\n] Is not object"),
    "neither": ("POST", PREDICT, {"signature_name": "rows"}, 400, "Missing 'inputs' or 'instances' key"),
    "a signature's name that is a number": (
        "POST", PREDICT, {"signature_name": 1}, 400,
        'JSON Value: {\n    "signature_name": 1\n} not formatted correctly. '
        "'signature_name' key must be a string value.",
    ),
    "text for a float": (
        "POST", PREDICT, {"signature_name": "rows", "inputs": [["x"]]}, 400,
        'JSON Value: "x" Type: String is not of expected type: float',
    ),
    "a float for an integer": (
        "POST", PREDICT, {"signature_name": "numbers", "inputs": numbers(int64=[[1.0]])}, 400,
        "JSON Value: 1.0 Type: Number is not of expected type: int64",
    ),
    "a number for a boolean": (
        "POST", PREDICT, {"signature_name": "numbers", "inputs": numbers(bool=[[1]])}, 400,
        "JSON Value: 1 Type: Number is not of expected type: bool",
    ),
    "an integer that a float cannot hold": (
        "POST", PREDICT, {"signature_name": "rows", "inputs": [[2**24 + 1]]}, 400,
        "Cannot convert JSON value: 16777217 to float without loss of precision.",
    ),
    "no base64": (
        "POST", PREDICT, {"signature_name": "bytes", "inputs": [{"b64": "%"}]}, 400, "Unable to base64 decode",
    ),
    "ragged": (
        "POST", PREDICT, {"signature_name": "rows", "instances": [[1, 2], [3]]}, 400,
        "Failed to process element: 1 of 'instances' list. Error: INVALID_ARGUMENT: "
        "Expecting tensor size: 2 but got: 1",
    ),
    "a plain list for several tensors": (
        "POST", PREDICT, {"signature_name": "numbers", "instances": [1]}, 400,
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    "a column too few": (
        "POST", PREDICT, {"signature_name": "numbers", "inputs": {"float": [[1]]}}, 400,
        "Missing named input: bool in 'inputs' object.",
    ),
    "outputs of no rows in row format": (
        "POST", PREDICT, {"signature_name": "total", "instances": [[1.0]]}, 400,
        "Tensor name: total has no shape information ",
    ),
    "no examples": (
        "POST", "/v1/models/classic:classify", {"signature_name": "classify", "examples": []}, 400,
        'JSON Value: {\n    "signature_name": "classify",\n    "examples": []\n} '
        "'examples' value is an empty array",
    ),
    "a feature of two kinds": (
        "POST", "/v1/models/classic:regress", {"signature_name": "regress", "examples": [{"x": [1.5, "a"]}]}, 400,
        "Unexpected element type in feature: x expecting type: float",
    ),
    "no such path": (
        "POST", "/v1/models/classic:explain", {}, 400, "Malformed request: POST /v1/models/classic:explain",
    ),
    "the wrong method": ("PUT", PREDICT, {}, 400, f"Malformed request: PUT {PREDICT}"),
    "no model": ("GET", "/v1/models", None, 400, "Missing model name in request."),
    "status of no model": ("GET", "/v1/models/m", None, 404, "Could not find any versions of model m"),
    "status of no version": (
        "GET", "/v1/models/classic/versions/9", None, 404, "Could not find version 9 of model classic",
    ),
    "a version beyond all numbers": (
        "GET", f"/v1/models/classic/versions/{2**64}", None, 400,
        f"Failed to convert version: {2**64} to numeric.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", ERRORS)
def test_errors(classic: ModelServer, row: str) -> None:
    method, path, body, status, message = ERRORS[row]
    answered, headers, text = ask(classic.rest_address, method, path, body)
    assert (answered, json.loads(text)) == (status, {"error": message})
    assert headers["Content-Type"] == "application/json"


def test_outside_the_api_is_a_plain_404(classic: ModelServer) -> None:
    for path in ("/", "/v2/models/classic", "/monitoring"):
        status, headers, _ = ask(classic.rest_address, "GET", path)
        assert status == 404 and "json" not in headers["Content-Type"]


def test_the_runtimes_words_come_through(classic: ModelServer) -> None:
    body = {"signature_name": "regress", "examples": [{"y": 1.0}]}
    status, answer = post(classic.rest_address, "/v1/models/classic:regress", body)
    assert status == 400
    assert answer["error"].startswith(
        "Name: <unknown>, Feature: x (data type: float) is required but could not be found."
    )


def test_parity_of_rows_columns_and_session(server: ModelServer, classic: ModelServer, rows: Rows) -> None:
    """The same scores in both formats, and those of an ordinary session."""
    del server
    values = [[float(x), 1.0] for x in rows.scores[1]]
    by_row = post(classic.rest_address, PREDICT, {"signature_name": "rows", "instances": values})[1]["predictions"]
    by_column = post(classic.rest_address, PREDICT, {"signature_name": "rows", "inputs": values})[1]["outputs"]
    assert by_row == by_column
    np.testing.assert_array_equal(np.array(by_row, np.float32), rows.scores[1] + np.float32(1))


RAGGED = [[[1], 2], [[1, 2], [3]], [[[1]], [2]], [1, [2]], [[1], [[2]]], [[], [1]], [None], ["a", 1], [[True, 1]]]


@pytest.mark.parametrize(
    "value", [*RAGGED, [[1, 2], [3, 4]], 5, [], [[]], [1.5, 2], [2**24], [2**31], [1e39], [math.inf]]
)
@pytest.mark.parametrize("name", ["DT_FLOAT", "DT_INT32", "DT_INT64", "DT_STRING", "DT_BOOL", "DT_DOUBLE"])
def test_whole_conversion_and_the_walk_agree(value: object, name: str) -> None:
    dtype = DataType.Value(name)

    def outcome(convert):
        try:
            return convert().tolist()
        except Exception as error:
            return type(error), str(error)

    def walked() -> np.ndarray:
        elements, shape = json_values.walk(value, dtype)
        return json_values.as_array(elements, dtype).reshape(shape)

    assert outcome(lambda: json_values.to_tensor(value, dtype)) == outcome(walked)


def test_rows_and_the_walk_over_rows_agree() -> None:
    signature = SignatureDef()
    for name, dtype in (("a", "DT_FLOAT"), ("b", "DT_STRING")):
        signature.inputs[name].dtype = DataType.Value(dtype)
    instances = [{"a": [i, 0.5], "b": f"é{i}"} for i in range(5)]
    whole, _ = json_requests.predict_inputs({"instances": instances}, signature, "")
    walked = json_requests._walk_instances(instances, {n: signature.inputs[n].dtype for n in "ab"}, named=True)
    for name in "ab":
        np.testing.assert_array_equal(whole[name], walked[name])
        assert whole[name].dtype == walked[name].dtype
