"""The gRPC server: ports, limits and TLS; PredictionService, ModelService, health and reflection."""

import os
from collections.abc import Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from serving.credentials import ServerTls, SslConfigTls
from serving.model_service import ModelService
from serving.prediction_service import PredictionService
from serving.protos import (
    POOL,
    ModelServiceStub,
    PredictionServiceStub,
    add_ModelServiceServicer_to_server,
    add_PredictionServiceServicer_to_server,
)
from serving.request_parsing import ParsingInterceptor

_SERVICES = (PredictionServiceStub.service, ModelServiceStub.service)


@dataclass(frozen=True)
class GrpcOptions:
    """The gRPC server's settings.

    Attributes:
        host: Address to bind to.
        port: Port; 0 for a free one, None for none.
        socket_path: A Unix socket to listen at, too.
        tls: Certificate and key; None for plain text.
        max_message_bytes: Longest request and longest response.
        threads: Requests that are worked on at once; more wait.
        max_requests: Requests that are open at once; more are refused (RESOURCE_EXHAUSTED).
        health: Whether grpc.health.v1 is answered.
        reflection: Whether clients may ask for the protocol's definition.
        channel_arguments: More of gRPC's own settings.
    """

    host: str = "127.0.0.1"
    port: int | None = 8500
    socket_path: Path | None = None
    tls: ServerTls | SslConfigTls | None = None
    max_message_bytes: int = 64 * 2**20
    threads: int = 64
    max_requests: int = 4096
    health: bool = False
    reflection: bool = True
    channel_arguments: Sequence[tuple[str, int | str]] = ()


class GrpcServer:
    """Serves until it is stopped.

    Args:
        prediction: Answers PredictionService.
        model: Answers ModelService.
        options: Where, and with which limits.
    """

    def __init__(self, prediction: PredictionService, model: ModelService, options: GrpcOptions) -> None:
        self._options = options
        # Before the server is made: a file that cannot be read is no reason to make one.
        self._credentials = options.tls.credentials() if options.tls else None
        self._server = grpc.server(
            futures.ThreadPoolExecutor(options.threads, thread_name_prefix="grpc"),
            interceptors=[ParsingInterceptor()],
            maximum_concurrent_rpcs=options.max_requests,
            options=[
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", options.max_message_bytes),
                # Without this a second server takes the same port without an error, and every other request.
                ("grpc.so_reuseport", 0),
                *options.channel_arguments,
            ],
        )
        add_PredictionServiceServicer_to_server(prediction, self._server)
        add_ModelServiceServicer_to_server(model, self._server)
        self._health: health.HealthServicer | None = None
        if options.health:
            self._health = health.HealthServicer()
            health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if options.reflection:
            reflection.enable_server_reflection((*_SERVICES, reflection.SERVICE_NAME), self._server, POOL)

    def start(self) -> str:
        """Opens the ports.

        Returns:
            The address, HOST:PORT, or that of the socket where there is no port.

        Raises:
            OSError: A port cannot be bound to.
        """
        address = ""
        if self._options.socket_path is not None:
            address = f"unix:{self._options.socket_path.absolute()}"
            self._bind(address)
        if self._options.port is not None:
            host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
            port = self._bind(f"{host}:{self._options.port}")
            address = f"{host}:{port}"
        self._server.start()
        if self._health is not None:
            for service in ("", *_SERVICES):
                self._health.set(service, health_pb2.HealthCheckResponse.SERVING)
        return address

    def stop(self, grace_seconds: float) -> None:
        """Takes no new request, and finishes those in flight within the grace."""
        if self._health is not None:
            self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()
        if self._options.socket_path is not None and self._options.socket_path.exists():
            os.unlink(self._options.socket_path)

    def _bind(self, address: str) -> int:
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(address)
            else:
                port = self._server.add_secure_port(address, self._credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen at {address}: {error}") from error
        if port == 0:
            raise OSError(f"cannot listen at {address}")
        return port
