"""Regress: the tensors that a signature takes and gives, and what is made of them (regressor.cc)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.errors import FailedPreconditionError, InvalidArgumentError
from serving.signatures import debug_shape, dtype_name

METHOD = "tensorflow/serving/regress"
INPUTS = "inputs"
OUTPUTS = "outputs"


def regression_tensors(signature: Any) -> tuple[str, list[str]]:
    """Returns the name of the input tensor and that of the output.

    Raises:
        ServingError: The signature is not one for Regress.
    """
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise InvalidArgumentError("Expected one output Tensor.")
    if INPUTS not in signature.inputs:
        raise FailedPreconditionError(f"No regression inputs found in SignatureDef: {signature}")
    if OUTPUTS not in signature.outputs:
        raise FailedPreconditionError(f"No regression outputs found in SignatureDef: {signature}")
    return signature.inputs[INPUTS].name, [signature.outputs[OUTPUTS].name]


def fill_regression(result: Any, signature: Any, values: Mapping[str, np.ndarray], rows: int) -> None:
    """Writes a RegressionResult.

    Args:
        result: The empty message.
        signature: The signature that was run.
        values: Outputs by tensor name.
        rows: Number of examples.

    Raises:
        InvalidArgumentError: The output is not one float for each example.
    """
    value = values[signature.outputs[OUTPUTS].name]
    if not (value.ndim == 1 or (value.ndim == 2 and value.shape[1] == 1)):
        raise InvalidArgumentError(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{debug_shape(value.shape)}"
        )
    if len(value) != rows:
        raise InvalidArgumentError(f"Input batch size did not match output batch size: {rows} vs. {len(value)}")
    if value.dtype != np.float32:
        raise InvalidArgumentError(f"Expected output Tensor of DT_FLOAT.  Got: {dtype_name(value)}")
    for number in value.ravel().tolist():
        result.regressions.add(value=number)
