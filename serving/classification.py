"""Classify: the tensors that a signature takes and gives, and what is made of them (classifier.cc)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from serving.errors import FailedPreconditionError, InvalidArgumentError
from serving.signatures import debug_shape, dtype_name

METHOD = "tensorflow/serving/classify"
INPUTS = "inputs"
CLASSES = "classes"
SCORES = "scores"


def classification_tensors(signature: Any) -> tuple[str, list[str]]:
    """Returns the name of the input tensor and those of the outputs.

    Raises:
        ServingError: The signature is not one for Classify.
    """
    if len(signature.inputs) != 1:
        raise InvalidArgumentError("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise InvalidArgumentError(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if INPUTS not in signature.inputs:
        raise FailedPreconditionError(f"No classification inputs found in SignatureDef: {signature}")
    outputs = [signature.outputs[alias].name for alias in (CLASSES, SCORES) if alias in signature.outputs]
    if not outputs:
        raise FailedPreconditionError(
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            f"Signature was: {signature}"
        )
    return signature.inputs[INPUTS].name, outputs


def fill_classification(result: Any, signature: Any, values: Mapping[str, np.ndarray], rows: int) -> None:
    """Writes a ClassificationResult.

    Args:
        result: The empty message.
        signature: The signature that was run.
        values: Outputs by tensor name.
        rows: Number of examples.

    Raises:
        InvalidArgumentError: The outputs are not [rows, classes] of strings and floats.
    """
    classes = _checked(signature, values, CLASSES, np.object_, "string", rows)
    scores = _checked(signature, values, SCORES, np.float32, "float", rows)
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise InvalidArgumentError(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    labels = None if classes is None else [[_text(label) for label in row] for row in classes.tolist()]
    numbers = None if scores is None else scores.tolist()
    for index in range(rows):
        add = result.classifications.add().classes.add
        if labels is not None and numbers is not None:
            for label, score in zip(labels[index], numbers[index], strict=True):
                add(label=label, score=score)
        elif labels is not None:
            for label in labels[index]:
                add(label=label)
        elif numbers is not None:
            for score in numbers[index]:
                add(score=score)


def _checked(
    signature: Any, values: Mapping[str, np.ndarray], alias: str, dtype: Any, name: str, rows: int
) -> np.ndarray | None:
    if alias not in signature.outputs:
        return None
    value = values[signature.outputs[alias].name]
    if value.ndim != 2:
        raise InvalidArgumentError(
            f"Expected Tensor shape: [batch_size num_classes] but got {debug_shape(value.shape)}"
        )
    if value.dtype != dtype:
        wanted = "DT_STRING" if name == "string" else "DT_FLOAT"
        raise InvalidArgumentError(f"Expected {alias} Tensor of {wanted}. Got: {dtype_name(value)}")
    if len(value) != rows:
        raise InvalidArgumentError(f"Expected {alias} output batch size of {rows}. Got: {len(value)}")
    return value


def _text(label: bytes) -> str:
    # The message's label is a string: what is no UTF-8 cannot be in it.
    return label.decode(errors="replace")
