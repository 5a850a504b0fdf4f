"""Parses gRPC requests in gRPC's place.

gRPC never frees a call whose request it could not parse: 18 KB are lost with each, whoever sends them. Here such a call
is ended as any other that fails, with the status and the message that gRPC itself gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc


class ParsingInterceptor(grpc.ServerInterceptor):
    """Has every method of a server take serialized requests, which are parsed before the method's own code runs."""

    def __init__(self) -> None:
        # Of methods that there are; what clients ask for besides is not remembered.
        self._handlers: dict[str, Any] = {}

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        """Returns the method's handler; None where there is no such method."""
        method = handler_call_details.method
        handler = self._handlers.get(method)
        if handler is None:
            handler = continuation(handler_call_details)
            if handler is not None and handler.request_deserializer is not None:
                handler = self._handlers[method] = _parsing(handler)
        return handler


def _parsing(handler: Any) -> Any:
    parse = handler.request_deserializer

    def parsed(content: bytes, context: grpc.ServicerContext) -> Any:
        try:
            return parse(content)
        except Exception:  # a parser's own, of whatever library
            context.abort(grpc.StatusCode.INTERNAL, "Exception deserializing request!")

    def one(respond: Callable[[Any, Any], Any]) -> Callable[[bytes, Any], Any]:
        return lambda content, context: respond(parsed(content, context), context)

    def many(respond: Callable[[Any, Any], Any]) -> Callable[[Iterator[bytes], Any], Any]:
        return lambda contents, context: respond((parsed(content, context) for content in contents), context)

    serializer = handler.response_serializer
    if handler.unary_unary:
        return grpc.unary_unary_rpc_method_handler(one(handler.unary_unary), None, serializer)
    if handler.unary_stream:
        return grpc.unary_stream_rpc_method_handler(one(handler.unary_stream), None, serializer)
    if handler.stream_unary:
        return grpc.stream_unary_rpc_method_handler(many(handler.stream_unary), None, serializer)
    return grpc.stream_stream_rpc_method_handler(many(handler.stream_stream), None, serializer)
