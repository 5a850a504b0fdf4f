"""A real model server inside this process, for as long as a block runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from serving.server import ModelServer, ServerOptions


@contextmanager
def embedded_server(model_base_path: Path, model_name: str = "crocodile") -> Iterator[str]:
    """Serves a model over gRPC on a free port of the loopback interface.

    Args:
        model_base_path: The directory that holds the numbered version directories.
        model_name: The model's name in requests.

    Yields:
        The address to connect to, HOST:PORT.

    Raises:
        ServableLoadError: There is nothing to serve under the base path.
    """
    with ModelServer(ServerOptions(Path(model_base_path), model_name, port=0)) as server:
        yield server.address
