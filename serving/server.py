"""The embedded model server: TensorFlow Serving's protocol over gRPC and REST."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.config_polling import ConfigPoller
from serving.credentials import ServerTls, SslConfigTls
from serving.grpc_server import GrpcOptions, GrpcServer
from serving.loader import Loader, LoaderOptions
from serving.model_config import read_model_config, single_model_config
from serving.model_service import ModelService
from serving.prediction_service import PredictionService, RequestRunner
from serving.served_model import LoadRetries
from serving.server_core import ServerCore

if TYPE_CHECKING:
    from serving.rest_server import RestOptions, RestServer

logger = logging.getLogger(__name__)

DEFAULT_PORT = 8500
DEFAULT_MAX_MESSAGE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class ServerOptions:
    """What a server serves, and where.

    Attributes:
        model_base_path: The directory that holds the numbered version directories; not used with a config file.
        model_name: The model's name in requests.
        host: Address to bind to: this machine only, unless said otherwise.
        port: gRPC port; 0 for a free one, None for none.
        grpc_socket_path: A Unix socket for gRPC.
        rest_port: REST port; 0 for a free one, None for none.
        rest_threads: REST requests that are worked on at once.
        rest_timeout_s: Seconds that a REST request may take.
        rest_cors: Whether pages of other origins may ask over REST.
        metrics_path: Path of the Prometheus metrics on the REST port; None for none.
        model_config_file: A ModelServerConfig in text format, instead of one model.
        model_config_file_poll_wait_seconds: How often the file is looked at; 0 or less only at the start.
        file_system_poll_wait_seconds: How often to look for new versions; 0 or less looks at the start only.
        retries: What is done about a version that fails to load.
        wait_for_models: Waits for versions where there are none yet, instead of failing.
        allow_labels_for_unavailable: Takes labels of versions that are not loaded (yet).
        loading: How versions are loaded: batching, warm-up, tags.
        max_message_bytes: Longest request and longest response.
        threads: gRPC requests that are worked on at once; more wait.
        max_requests: Requests that are open at once, over gRPC and over REST; more are refused.
        enforce_timeout: Whether a run ends at the client's deadline.
        tls: Certificate and key for gRPC; None for plain text.
        health: Whether grpc.health.v1 is answered.
        reflection: Whether gRPC clients may ask for the protocol's definition.
        channel_arguments: More of gRPC's own settings.
    """

    model_base_path: Path | None = None
    model_name: str = "crocodile"
    host: str = "127.0.0.1"
    port: int | None = DEFAULT_PORT
    grpc_socket_path: Path | None = None
    rest_port: int | None = None
    rest_threads: int = 16
    rest_timeout_s: float | None = 30.0
    rest_cors: bool = False
    metrics_path: str | None = None
    model_config_file: Path | None = None
    model_config_file_poll_wait_seconds: float = 0.0
    file_system_poll_wait_seconds: float = 1.0
    retries: LoadRetries = field(default_factory=LoadRetries)
    wait_for_models: bool = False
    allow_labels_for_unavailable: bool = False
    loading: LoaderOptions = field(default_factory=LoaderOptions)
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES
    threads: int = 64
    max_requests: int = 4096
    enforce_timeout: bool = True
    tls: ServerTls | SslConfigTls | None = None
    health: bool = False
    reflection: bool = True
    channel_arguments: tuple[tuple[str, int | str], ...] = ()

    def model_config(self) -> Any:
        """Returns the ModelServerConfig to begin with.

        Raises:
            ServingError: The config file is wrong.
            OSError: It cannot be read.
            ValueError: There is neither a file nor a base path.
        """
        if self.model_config_file is not None:
            return read_model_config(self.model_config_file)
        if self.model_base_path is None:
            raise ValueError("neither a model base path nor a model config file is given")
        return single_model_config(self.model_name, self.model_base_path)


class ModelServer:
    """Serves models until it is stopped.

    Args:
        options: What to serve, and where.
    """

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._loader = Loader(options.loading)
        self._core = ServerCore(
            self._loader.load,
            poll_wait_seconds=options.file_system_poll_wait_seconds,
            retries=options.retries,
            wait_for_models=options.wait_for_models,
            allow_labels_for_unavailable=options.allow_labels_for_unavailable,
        )
        self._poller: ConfigPoller | None = None
        self._grpc: GrpcServer | None = None
        self._rest: RestServer | None = None
        self.address = ""
        self.rest_address = ""

    @property
    def core(self) -> ServerCore:
        """The served models."""
        return self._core

    def start(self) -> str:
        """Loads the models, then opens the ports.

        Returns:
            The address that gRPC clients connect to, HOST:PORT.

        Raises:
            ServableLoadError: There is nothing to serve.
            ServingError: The configuration is wrong.
            OSError: A file cannot be read, or the address cannot be bound to.
            ValueError: The TLS files do not belong together.
        """
        try:
            self._start()
        except BaseException:
            self.stop(0.0)
            raise
        return self.address

    def _start(self) -> None:
        options = self._options
        config = options.model_config()
        runner = RequestRunner(self._core)
        prediction = PredictionService(runner, enforce_timeout=options.enforce_timeout)
        grpc_server = GrpcServer(prediction, ModelService(self._core), self._grpc_options())
        # The ports open last, as TensorFlow Serving's do: who can connect gets an answer.
        self._core.start(config)
        self._grpc = grpc_server
        address = grpc_server.start()
        if options.rest_port is not None:
            # HTTP takes a third of a second to import, which who serves gRPC alone need not wait for.
            from serving.rest_api import RestApi
            from serving.rest_server import RestServer

            self._rest = RestServer(RestApi(self._core, runner, options.rest_timeout_s), self._rest_options())
            self.rest_address = self._rest.start()
        self.address = address
        if options.model_config_file is not None and options.model_config_file_poll_wait_seconds > 0:
            wait = options.model_config_file_poll_wait_seconds
            self._poller = ConfigPoller(self._core, options.model_config_file, wait)
            self._poller.start()

    def ready_line(self) -> str:
        """Returns the line that says what is served where."""
        served = ", ".join(
            f"{name} version {', '.join(map(str, self._core.versions(name))) or 'none'}"
            for name in self._core.model_names()
        )
        rest = f", REST at {self.rest_address}" if self.rest_address else ""
        return f"serving {served} at {self.address}{rest}"

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Takes no new request, finishes those in flight, and unloads the models.

        Args:
            grace_seconds: How long requests in flight may take; what is not done then is cancelled.
        """
        if self._poller is not None:
            self._poller.stop()
            self._poller = None
        if self._rest is not None:
            self._rest.stop(grace_seconds)
            self._rest = None
        if self._grpc is not None:
            self._grpc.stop(grace_seconds)
            self._grpc = None
        self._core.stop()
        self._loader.close()

    def __enter__(self) -> ModelServer:
        """Starts the server; it is stopped when the block ends."""
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stops the server."""
        self.stop()

    def _grpc_options(self) -> GrpcOptions:
        options = self._options
        return GrpcOptions(
            host=options.host,
            port=options.port,
            socket_path=options.grpc_socket_path,
            tls=options.tls,
            max_message_bytes=options.max_message_bytes,
            threads=options.threads,
            max_requests=options.max_requests,
            health=options.health,
            reflection=options.reflection,
            channel_arguments=options.channel_arguments,
        )

    def _rest_options(self) -> RestOptions:
        from serving.rest_server import RestOptions

        options = self._options
        return RestOptions(
            host=options.host,
            port=options.rest_port or 0,
            threads=options.rest_threads,
            cors=options.rest_cors,
            max_body_bytes=options.max_message_bytes,
            max_requests=options.max_requests,
            metrics_path=options.metrics_path,
        )
