"""From a response to REST's JSON (json_tensor.cc)."""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import json_format

from serving.errors import InvalidArgumentError
from serving.inference import SIGNATURE_DEF_FIELD
from serving.protos import SignatureDefMap

# A name that ends so is one of bytes, not of text.
_BYTES_SUFFIX = "_bytes"
_FLOAT_DIGITS = {4: 9, 8: 17}


def predictions(outputs: Mapping[str, np.ndarray]) -> str:
    """Returns a row-format answer: one entry for each row.

    Raises:
        InvalidArgumentError: The outputs have no rows, or not the same number.
    """
    if not outputs:
        raise InvalidArgumentError("Cannot convert empty tensor map to JSON")
    rows = -1
    for name, value in outputs.items():
        if value.ndim == 0:
            raise InvalidArgumentError(f"Tensor name: {name} has no shape information ")
        if rows not in (-1, len(value)):
            raise InvalidArgumentError(
                f"Tensor name: {name} has inconsistent batch size: {len(value)} expecting: {rows}"
            )
        rows = len(value)
    columns = {name: [_text(item) for item in _values(name, value)] for name, value in outputs.items()}
    if len(columns) == 1:
        (entries,) = columns.values()
    else:
        keys = [json.dumps(name) for name in columns]
        entries = [
            "{\n            "
            + ",\n            ".join(f"{key}: {item}" for key, item in zip(keys, row, strict=True))
            + "\n        }"
            for row in zip(*columns.values(), strict=True)
        ]
    return f'{{\n    "predictions": [{", ".join(entries)}]\n}}'


def outputs_object(outputs: Mapping[str, np.ndarray]) -> str:
    """Returns a columnar answer: one entry for each tensor.

    Raises:
        InvalidArgumentError: There is no output, or one of a dtype that JSON has nothing for.
    """
    if not outputs:
        raise InvalidArgumentError("Cannot convert empty tensor map to JSON")
    texts = {name: _text(_values(name, value)) for name, value in outputs.items()}
    if len(texts) == 1:
        (body,) = texts.values()
    else:
        members = [f"{json.dumps(name)}: {text}" for name, text in texts.items()]
        body = "{\n        " + ",\n        ".join(members) + "\n    }"
    return f'{{\n    "outputs": {body}\n}}'


def classifications(result: Any) -> str:
    """Returns a ClassificationResult: a list of [label, score] for each example."""
    rows = [
        "[" + ", ".join(f"[{json.dumps(c.label)}, {_number(c.score, 9)}]" for c in row.classes) + "]"
        for row in result.classifications
    ]
    return f'{{\n    "results": [{", ".join(rows)}]\n}}'


def regressions(result: Any) -> str:
    """Returns a RegressionResult: a number for each example."""
    return f'{{\n    "results": [{", ".join(_number(row.value, 9) for row in result.regressions)}]\n}}'


def status_object(response: Any) -> str:
    """Returns a GetModelStatusResponse."""
    return _message(response)


def metadata_object(response: Any) -> str:
    """Returns a GetModelMetadataResponse, its signatures unpacked."""
    signatures = SignatureDefMap()
    response.metadata[SIGNATURE_DEF_FIELD].Unpack(signatures)
    return (
        f'{{\n"model_spec":{_message(response.model_spec)},\n'
        f'"metadata": {{"{SIGNATURE_DEF_FIELD}": {_message(signatures)}}}\n}}\n'
    )


def error_object(message: str) -> str:
    """Returns the body of an error."""
    return json.dumps({"error": message}, indent=4)


def _message(message: Any) -> str:
    # Called by keyword names that its declared types do not know.
    to_json: Any = json_format.MessageToJson
    text: str = to_json(message, including_default_value_fields=True, preserving_proto_field_name=True)
    return text


def _values(name: str, value: np.ndarray) -> Any:
    """Returns a tensor as nested lists whose leaves are JSON texts."""
    flat = value.ravel()
    kind = value.dtype.kind
    if value.dtype == np.object_:
        as_bytes = name.endswith(_BYTES_SUFFIX)
        texts = [_bytes(item) if as_bytes else _string(item) for item in flat.tolist()]
    elif kind == "f" and value.dtype.itemsize in (2, *_FLOAT_DIGITS):
        digits = _FLOAT_DIGITS.get(value.dtype.itemsize, 9)
        texts = [_number(item, digits) for item in flat.tolist()]
    elif kind == "b":
        texts = ["true" if item else "false" for item in flat.tolist()]
    elif kind in "iu" and value.dtype != np.uint16:
        texts = [str(item) for item in flat.tolist()]
    else:
        raise InvalidArgumentError(f"Failed to write JSON value for tensor type: {value.dtype}")
    array = np.empty(len(texts), np.object_)
    array[:] = texts
    return array.reshape(value.shape).tolist()


def _text(value: Any) -> str:
    return "[" + ", ".join(map(_text, value)) + "]" if isinstance(value, list) else value


def _string(item: bytes) -> str:
    return json.dumps(item.decode("utf-8", "replace"), ensure_ascii=False)


def _bytes(item: bytes) -> str:
    return json.dumps({"b64": base64.b64encode(item).decode()})


def _number(value: float, digits: int) -> str:
    """Returns a number with six digits if that is all of it, or else with as many as tell it from its neighbours."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{value:.6g}"
    read = float(text)
    if (float(np.float32(read)) if digits == 9 else read) != value:
        text = f"{value:.{digits}g}"
    return text if "." in text or "e" in text else text + ".0"
