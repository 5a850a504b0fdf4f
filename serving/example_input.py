"""The input of Classify, Regress and MultiInference: tf.Examples, with or without a context that they share."""

from typing import Any

import numpy as np

from serving.errors import InvalidArgumentError


def serialized_examples(request_input: Any) -> np.ndarray:
    """Returns a request's tf.Examples, serialized (servables/tensorflow/util.cc).

    Args:
        request_input: A tensorflow.serving.Input.

    Returns:
        Object array of ``bytes``, shape (N,). A context is merged into each example: its bytes before the example's,
        which protobuf reads as one message.

    Raises:
        InvalidArgumentError: There is no example.
    """
    kind = request_input.WhichOneof("kind")
    context = b""
    examples = []
    if kind is not None:
        listed = getattr(request_input, kind)
        examples = [example.SerializeToString() for example in listed.examples]
        if kind == "example_list_with_context":
            context = listed.context.SerializeToString()
    if not examples:
        raise InvalidArgumentError("Input is empty.")
    array = np.empty(len(examples), np.object_)
    array[:] = [context + example for example in examples] if context else examples
    return array
