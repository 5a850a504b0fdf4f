"""The embedded model server: one model's PredictionService over gRPC."""

from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

import grpc

from serving.credentials import ServerTls
from serving.prediction_service import PredictionService
from serving.protos import add_PredictionServiceServicer_to_server
from serving.served_model import ServedModel

DEFAULT_PORT = 8500
DEFAULT_MAX_MESSAGE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ServerOptions:
    """What a server serves, and where.

    Attributes:
        model_base_path: The directory that holds the numbered version directories.
        model_name: The model's name in requests.
        host: Address to bind to: this machine only, unless said otherwise.
        port: Port to bind to; 0 for a free one.
        file_system_poll_wait_seconds: How often to look for a new version; 0 or less looks at the start only.
        max_message_bytes: Longest request and longest response.
        threads: Requests that are worked on at once; more wait.
        tls: Certificate and key; None for plain text.
    """

    model_base_path: Path
    model_name: str = "crocodile"
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    file_system_poll_wait_seconds: float = 1.0
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    threads: int = 16
    tls: ServerTls | None = None


class ModelServer:
    """Serves the latest version under a base path until it is stopped.

    Args:
        options: What to serve, and where.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._model = ServedModel(
            options.model_name,
            options.model_base_path,
            poll_wait_seconds=options.file_system_poll_wait_seconds,
        )
        self._server: grpc.Server | None = None
        self.address = ""

    def start(self) -> str:
        """Loads the model, then opens the port.

        Returns:
            The address that clients connect to, HOST:PORT.

        Raises:
            ServableLoadError: There is nothing to serve.
            OSError: A TLS file cannot be read, or the address cannot be bound to.
        """
        credentials = self._options.tls.credentials() if self._options.tls else None
        # The port opens last, as TensorFlow Serving's does: who can connect gets an answer.
        self._model.start()
        try:
            self._server = self._bind(credentials)
        except BaseException:
            self._model.stop()
            raise
        self._server.start()
        return self.address

    def ready_line(self) -> str:
        """Returns the line that says what is served where."""
        version = max(self._model.versions(), default="none")
        return f"serving {self._model.name} version {version} at {self.address}"

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Takes no new request, finishes those in flight, and unloads the model.

        Args:
            grace_seconds: How long requests in flight may take; what is not done then is cancelled.
        """
        if self._server is not None:
            self._server.stop(grace_seconds).wait()
            self._server = None
        self._model.stop()

    def __enter__(self) -> "ModelServer":
        """Starts the server; it is stopped when the block ends."""
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stops the server."""
        self.stop()

    def _bind(self, credentials: grpc.ServerCredentials | None) -> grpc.Server:
        options = self._options
        server = grpc.server(
            futures.ThreadPoolExecutor(options.threads, thread_name_prefix="predict"),
            options=[
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", options.max_message_bytes),
                # Without this a second server takes the same port without an error, and every other request.
                ("grpc.so_reuseport", 0),
            ],
        )
        service = PredictionService({options.model_name: self._model})
        add_PredictionServiceServicer_to_server(service, server)
        host = f"[{options.host}]" if ":" in options.host else options.host
        wanted = f"{host}:{options.port}"
        try:
            if credentials is None:
                port = server.add_insecure_port(wanted)
            else:
                port = server.add_secure_port(wanted, credentials)
        except RuntimeError as error:
            raise OSError(f"cannot listen at {wanted}: {error}") from error
        if port == 0:
            raise OSError(f"cannot listen at {wanted}")
        self.address = f"{host}:{port}"
        return server
