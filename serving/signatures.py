"""What a Predict request must bring for a signature: TensorFlow Serving's checks, in its order and its words.

Follows ``VerifyRequestInputsSize`` and ``PreProcessPrediction`` (serving, predict_util.cc) and
``GetInputValues`` (tensorflow, cc/saved_model/util.cc). Shapes and dtypes are not checked here, as they are
not there: the runtime does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from serving.errors import FailedPreconditionError, InvalidArgumentError
from serving.protos import DataType, SignatureDef, TensorProto
from serving.tensors import data_type, to_ndarray

DEFAULT_SIGNATURE = "serving_default"

Inputs = Mapping[str, TensorProto | np.ndarray]


def debug_shape(shape: Sequence[int]) -> str:
    """Returns a shape as C++'s ``TensorShape::DebugString`` writes it."""
    return f"[{','.join(map(str, shape))}]"


def dtype_name(array: np.ndarray) -> str:
    """Returns the name of an array's DataType, e.g. DT_FLOAT."""
    name: str = DataType.Name(data_type(array))
    return name


def _names(names: Iterable[str]) -> str:
    return ",".join(sorted(names))


def find_signature(signatures: Mapping[str, SignatureDef], name: str) -> SignatureDef:
    """Returns the signature of this name.

    Raises:
        FailedPreconditionError: The model has none of this name.
    """
    if name not in signatures:
        raise FailedPreconditionError(f'Serving signature key "{name}" not found.')
    return signatures[name]


def feeds(signature: SignatureDef, inputs: Inputs) -> list[tuple[str, np.ndarray]]:
    """Returns what to feed the session: pairs of tensor name and value.

    Args:
        signature: The signature that the request names.
        inputs: The request's tensors by alias. Inputs that the signature has defaults for may be left out.

    Raises:
        InvalidArgumentError: An input is missing, unknown, or does not decode to a tensor.
    """
    required = signature.inputs
    if len(inputs) > len(required) or (len(inputs) < len(required) and not signature.defaults):
        raise InvalidArgumentError(
            f"input size does not match signature: {len(inputs)}!={len(required)} "
            f"len({{{_names(inputs)}}}) != len({{{_names(required)}}}). "
            f"Sent extra: {{{_names(inputs.keys() - required.keys())}}}. "
            f"Missing but required: {{{_names(required.keys() - inputs.keys())}}}."
        )
    fed: list[tuple[str, np.ndarray]] = []
    used: set[str] = set()
    # C++ walks a hash map; sorted, so that of several wrong inputs the same one is named every time.
    for alias in sorted(required):
        feed_name = required[alias].name
        if alias in inputs:
            used.add(alias)
            value: Any = inputs[alias]
        elif alias in signature.defaults:
            value = signature.defaults[alias]
        else:
            raise InvalidArgumentError(
                f"Signature input alias: {alias}(feed name: {feed_name}) not found in request and no default "
                f"value provided. Inputs expected to be in the request {{{_names(inputs)}}}, "
                f"or default input alias set: {_names(signature.defaults)}"
            )
        if not isinstance(value, np.ndarray):
            try:
                value = to_ndarray(value)
            except ValueError:
                raise InvalidArgumentError(f"tensor parsing error: {alias}") from None
        fed.append((feed_name, value))
    if len(used) != len(inputs):
        raise InvalidArgumentError(
            f"Inputs contains invalid name. Used request inputs: {_names(used)}, request input: {_names(inputs)}"
        )
    return fed


def fetches(signature: SignatureDef, output_filter: Sequence[str] = ()) -> list[tuple[str, str]]:
    """Returns what to fetch from the session: pairs of alias and tensor name.

    Args:
        signature: The signature that the request names.
        output_filter: Aliases of the wanted outputs; empty for all of them.

    Raises:
        InvalidArgumentError: The filter names an unknown output, or one twice.
    """
    outputs = signature.outputs
    wanted: list[str] = []
    for alias in output_filter:
        if alias not in outputs:
            raise InvalidArgumentError(
                f"output tensor alias not found in signature: {alias} "
                f"Outputs expected to be in the set {{{_names(outputs)}}}."
            )
        if alias in wanted:
            raise InvalidArgumentError(f"duplicate output tensor alias: {alias}")
        wanted.append(alias)
    return [(alias, outputs[alias].name) for alias in wanted or sorted(outputs)]
