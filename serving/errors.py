"""Errors of serving: each carries the gRPC status code and the message that TensorFlow Serving answers."""

import grpc

# TensorFlow's canonical error codes are gRPC's: the same numbers, the same meaning.
_STATUS_BY_NUMBER: dict[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """A request that cannot be answered.

    Attributes:
        code: gRPC status code of the answer.
        message: The status message, as TensorFlow Serving words it.
    """

    code: grpc.StatusCode = grpc.StatusCode.UNKNOWN

    def __init__(self, message: str, code: grpc.StatusCode | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code


class InvalidArgumentError(ServingError):
    """The request itself is wrong, whatever the state of the server."""

    code = grpc.StatusCode.INVALID_ARGUMENT


class NotFoundError(ServingError):
    """No such model, or no such version of it, is loaded."""

    code = grpc.StatusCode.NOT_FOUND


class FailedPreconditionError(ServingError):
    """The model is not in a state, or not of a kind, that can answer this request."""

    code = grpc.StatusCode.FAILED_PRECONDITION


class UnavailableError(ServingError):
    """The servable is being unloaded; the same request may succeed in a moment."""

    code = grpc.StatusCode.UNAVAILABLE


class UnimplementedError(ServingError):
    """The request is of a kind that no server of this protocol answers."""

    code = grpc.StatusCode.UNIMPLEMENTED


class ResourceExhaustedError(ServingError):
    """The request was waiting for too long, or would take more than it may."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED


class DeadlineExceededError(ServingError):
    """The request's deadline passed before it was answered."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED


class DataLossError(ServingError):
    """A file is not what it should be."""

    code = grpc.StatusCode.DATA_LOSS


class ServableLoadError(Exception):
    """A SavedModel directory that cannot be loaded, or a base path without any."""


class RequestFailedError(ServingError):
    """A request that a client sent and that was not answered with a result.

    Attributes:
        address: The server's address.
    """

    def __init__(self, address: str, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message, code)
        self.address = address

    def __str__(self) -> str:
        """Returns the address, the code and the server's (or gRPC's) own message."""
        return f"{self.address} answered {self.code.name}: {self.message}"


_ERROR_BY_STATUS: dict[grpc.StatusCode, type[ServingError]] = {
    error.code: error
    for error in (
        InvalidArgumentError,
        NotFoundError,
        FailedPreconditionError,
        UnavailableError,
        UnimplementedError,
        ResourceExhaustedError,
        DeadlineExceededError,
        DataLossError,
    )
}


def error_for(number: int, message: str) -> ServingError:
    """Returns the error for one of TensorFlow's numeric error codes.

    Args:
        number: Canonical code, e.g. ``tf.errors.OpError.error_code``.
        message: The runtime's message, unchanged.
    """
    code = _STATUS_BY_NUMBER.get(number, grpc.StatusCode.UNKNOWN)
    return _ERROR_BY_STATUS.get(code, ServingError)(message, code)
