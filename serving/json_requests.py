"""From a REST body to a request's message: instances or inputs for Predict, examples for Classify and Regress."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.errors import InvalidArgumentError, ServingError
from serving.json_parsing import echo, encoded, type_name
from serving.json_values import (
    as_array,
    decode_base64,
    is_base64,
    lossless,
    to_tensor,
    walk,
)

_INSTANCES = "instances"
_INPUTS = "inputs"
_ONLY_ONE = f"Not formatted correctly expecting only one of '{_INPUTS}' or '{_INSTANCES}' keys to exist "


def signature_name(document: Mapping[str, Any]) -> str:
    """Returns a request's signature_name, empty where it has none; raises InvalidArgumentError if it is no string."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise InvalidArgumentError(
            f"JSON Value: {echo(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return encoded(name).decode(errors="replace")


def predict_inputs(document: Mapping[str, Any], signature: Any, name: str) -> tuple[dict[str, np.ndarray], bool]:
    """Returns a predict request's tensors.

    Args:
        document: The request.
        signature: The SignatureDef that it names.
        name: The signature's name as the request gives it.

    Returns:
        The tensors by alias, and whether the request is in row format ("instances").

    Raises:
        ServingError: In TensorFlow Serving's words.
    """
    dtypes = {alias: info.dtype for alias, info in sorted(signature.inputs.items())}
    if not dtypes:
        raise InvalidArgumentError(f"Failed to get input map for signature: {name or 'DEFAULT'}")
    if _INSTANCES in document:
        if _INPUTS in document:
            raise InvalidArgumentError(f"JSON Value: {echo(document)} {_ONLY_ONE}")
        instances = document[_INSTANCES]
        if not isinstance(instances, list):
            raise InvalidArgumentError(f"JSON Value: {echo(document)} Excepting '{_INSTANCES}' to be an list/array")
        if not instances:
            raise InvalidArgumentError(f"JSON Value: {echo(document)} No values in '{_INSTANCES}' array")
        return _from_instances(instances, dtypes), True
    if _INPUTS in document:
        return _from_inputs(document[_INPUTS], dtypes), False
    raise InvalidArgumentError(f"Missing '{_INPUTS}' or '{_INSTANCES}' key")


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _from_inputs(value: Any, dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    if not _is_named(value):
        if len(dtypes) > 1:
            raise InvalidArgumentError(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        ((alias, dtype),) = dtypes.items()
        return {alias: to_tensor(value, dtype)}
    tensors = {}
    for alias, dtype in dtypes.items():
        if alias not in value:
            raise InvalidArgumentError(f"Missing named input: {alias} in 'inputs' object.")
        tensors[alias] = to_tensor(value[alias], dtype)
    return tensors


def _from_instances(instances: list[Any], dtypes: Mapping[str, int]) -> dict[str, np.ndarray]:
    if not isinstance(instances[0], dict) and len(dtypes) > 1:
        raise InvalidArgumentError(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_named(instances[0])
    try:
        if named and all(type(row) is dict and row.keys() == dtypes.keys() for row in instances):
            return {alias: to_tensor([row[alias] for row in instances], dtype) for alias, dtype in dtypes.items()}
        if not named and not any(map(_is_named, instances)):
            alias, dtype = next(iter(dtypes.items()))
            return {alias: to_tensor(instances, dtype)}
    except ServingError:
        pass  # the walk below says which row it was
    return _walk_instances(instances, dtypes, named)


def _walk_instances(instances: list[Any], dtypes: Mapping[str, int], named: bool) -> dict[str, np.ndarray]:
    collected: dict[str, list[Any]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    for index, row in enumerate(instances):
        if named != _is_named(row):
            found = "object but got list" if named else "value/list but got object"
            raise InvalidArgumentError(f"Expecting {found} at item {index} of input list")
        if not named:
            alias = next(iter(dtypes))
            try:
                _add(row, alias, dtypes, collected, shapes)
            except ServingError as error:
                raise _wrapped(f"Failed to process element: {index}", error) from None
            continue
        for key, value in row.items():
            try:
                _add(value, key, dtypes, collected, shapes)
            except ServingError as error:
                raise _wrapped(f"Failed to process element: {index} key: {key}", error) from None
        if row.keys() != dtypes.keys():
            raise InvalidArgumentError(
                f"Failed to process element: {index} of 'instances' list. JSON object: {echo(row)} keys must be equal "
                f"to: {','.join(dtypes)}"
            )
    return {
        alias: as_array(values, dtypes[alias]).reshape(len(instances), *shapes[alias])
        for alias, values in collected.items()
    }


def _add(
    value: Any,
    alias: str,
    dtypes: Mapping[str, int],
    collected: dict[str, list[Any]],
    shapes: dict[str, tuple[int, ...]],
) -> None:
    if alias not in dtypes:
        raise InvalidArgumentError(f"JSON object: does not have named input: {alias}")
    elements, shape = walk(value, dtypes[alias])
    if alias in shapes:
        size = int(np.prod(shapes[alias], dtype=np.int64))
        if len(elements) != size:
            raise InvalidArgumentError(f"Expecting tensor size: {size} but got: {len(elements)}")
        if shape != shapes[alias]:
            raise InvalidArgumentError(f"Expecting shape {_text(shapes[alias])} but got: {_text(shape)}")
    shapes[alias] = shape
    collected.setdefault(alias, []).extend(elements)


def _text(shape: tuple[int, ...]) -> str:
    return f"[{','.join(map(str, shape))}]"


def _wrapped(where: str, error: ServingError) -> InvalidArgumentError:
    return InvalidArgumentError(f"{where} of 'instances' list. Error: {error.code.name}: {error.message}")


def fill_examples(request_input: Any, document: Mapping[str, Any]) -> None:
    """Writes a classify or regress request's examples, and the context that they share, into an Input.

    Raises:
        ServingError: In TensorFlow Serving's words.
    """
    with_context = "context" in document
    target = request_input.example_list_with_context if with_context else request_input.example_list
    if with_context:
        target.context.SetInParent()
        _fill_example(target.context, document["context"])
    if "examples" not in document:
        raise InvalidArgumentError(
            f"JSON Value: {echo(document)} When method is classify, key 'examples' is expected and was not found"
        )
    examples = document["examples"]
    if not isinstance(examples, list):
        raise InvalidArgumentError(f"JSON Value: {echo(document)} Expecting 'examples' value to be an list/array")
    if not examples:
        raise InvalidArgumentError(f"JSON Value: {echo(document)} 'examples' value is an empty array")
    for example in examples:
        _fill_example(target.examples.add(), example)


def _fill_example(example: Any, value: Any) -> None:
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"Example must be JSON object but got JSON {type_name(value)}")
    for name, content in value.items():
        feature = example.features.feature[encoded(name).decode(errors="replace")]
        for element in content if isinstance(content, list) else [content]:
            _add_to_feature(feature, name, element)


def _add_to_feature(feature: Any, name: str, value: Any) -> None:
    if value is None or isinstance(value, list) or _is_named(value):
        raise InvalidArgumentError(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")
    if isinstance(value, dict):
        _list(feature, name, "bytes_list").append(decode_base64(value))
    elif isinstance(value, str):
        _list(feature, name, "bytes_list").append(encoded(value))
    elif isinstance(value, float):
        values = _list(feature, name, "float_list")
        if not lossless(value, "float"):
            raise InvalidArgumentError(f"Cannot convert JSON value: {echo(value)} to float without loss of precision.")
        values.append(value)
    else:
        values = _list(feature, name, "int64_list")
        if not -(2**63) <= value < 2**63:
            raise InvalidArgumentError(f"Feature: {name} has uint64 element. Only int64 is supported.")
        values.append(int(value))


_KINDS = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def _list(feature: Any, name: str, kind: str) -> Any:
    present = feature.WhichOneof("kind")
    if present not in (None, kind):
        raise InvalidArgumentError(f"Unexpected element type in feature: {name} expecting type: {_KINDS[present]}")
    return getattr(feature, kind).value
