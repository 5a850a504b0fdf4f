"""From a ServingError to the gRPC status that TensorFlow Serving would send."""

import logging
from collections.abc import Callable
from typing import NoReturn, TypeVar

import grpc

from serving.errors import ServingError

logger = logging.getLogger(__name__)

MESSAGE_LIMIT = 1024
TRUNCATION_MARK = "...TRUNCATED"

Request = TypeVar("Request")
Response = TypeVar("Response")


def truncated(message: str) -> str:
    """Returns a message, cut to 1024 bytes and marked where it is longer (grpc_status_util.cc)."""
    encoded = message.encode()
    if len(encoded) <= MESSAGE_LIMIT:
        return message
    return encoded[:MESSAGE_LIMIT].decode(errors="ignore") + TRUNCATION_MARK


def abort(context: grpc.ServicerContext, error: ServingError) -> NoReturn:
    """Ends the call with the error's code and message."""
    context.abort(error.code, truncated(error.message))
    raise AssertionError("context.abort always raises")


def answer(respond: Callable[[Request], Response], request: Request, context: grpc.ServicerContext) -> Response:
    """Returns ``respond(request)``, or ends the call with the status of the error that it raises.

    What is not a ServingError is a fault of this server: it is logged whole, and the client learns only that.
    """
    try:
        return respond(request)
    except ServingError as error:
        abort(context, error)
    except Exception as error:
        logger.exception("a request failed inside the server")
        abort(context, ServingError(f"{type(error).__name__} inside the server", grpc.StatusCode.INTERNAL))
