"""A loaded SavedModel: TensorFlow Serving's load path and its session call, inside this process.

TensorFlow Serving imports the graph, runs the restore op and calls a C++ session. The same three steps are
taken here (``tf.compat.v1.saved_model.load`` into a Session with a graph of its own). ``tf.saved_model.load``
is not the same: models load and predict with it that fail every request in TensorFlow Serving.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from serving.lean_tensorflow import lean_import

with lean_import():
    import tensorflow as tf

# The session's own binding. Session.run would cast what it is fed to the placeholder's dtype and rewrite the
# runtime's messages; this call does neither, so that its errors are TensorFlow Serving's, to the letter.
from tensorflow.python.client import pywrap_tf_session
from tensorflow.python.util import deprecation

from serving.errors import InvalidArgumentError, ServableLoadError, UnavailableError, error_for
from serving.protos import SignatureDef
from serving.signatures import DEFAULT_SIGNATURE, Inputs, feeds, fetches, find_signature

SERVE_TAG = "serve"
# RunOptions takes milliseconds as an int64, and a wait of more than some weeks is no wait at all.
_LONGEST_TIMEOUT_S = 1e6

Feeds = Sequence[tuple[str, np.ndarray]]
# What to feed, what to fetch, and the seconds left.
Runner = Callable[[Feeds, Sequence[str], float | None], list[np.ndarray]]


class Servable:
    """One version of a model, loaded and ready to predict; safe to call from many threads.

    Args:
        directory: A SavedModel directory (a version directory of a base path).
        version: The version it is served as; None where versions mean nothing.
        tags: The tags of the SavedModel's graph.
        parallelism: Threads within an op and between ops (both); 0 leaves it to TensorFlow.

    Raises:
        ServableLoadError: The directory holds no SavedModel that TensorFlow Serving could load.
    """

    def __init__(
        self,
        directory: Path,
        version: int | None = None,
        *,
        tags: Sequence[str] = (SERVE_TAG,),
        parallelism: tuple[int, int] = (0, 0),
    ) -> None:
        self.directory = Path(directory)
        self.version = version
        self._changed = threading.Condition()
        self._leases = 0
        self._closed = False
        self._tensors: dict[str, Any] = {}
        # Every request passes through it: `run`, or what merges its calls into batches.
        self.runner: Runner = self.run
        self.on_close: list[Callable[[], None]] = []
        self._graph = tf.Graph()
        config = tf.compat.v1.ConfigProto(
            intra_op_parallelism_threads=parallelism[0], inter_op_parallelism_threads=parallelism[1]
        )
        self._session = tf.compat.v1.Session(graph=self._graph, config=config)
        try:
            with deprecation.silence():
                meta_graph = tf.compat.v1.saved_model.load(self._session, list(tags), str(self.directory))
            self._graph.finalize()
            self._session._extend_graph()
        except Exception as error:
            self._session.close()
            raise ServableLoadError(f"cannot load the SavedModel in {self.directory}: {error}") from error
        self._signatures: dict[str, SignatureDef] = {
            name: SignatureDef.FromString(signature.SerializeToString())
            for name, signature in meta_graph.signature_def.items()
        }

    @property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """The model's SignatureDefs by name."""
        return self._signatures

    def predict(
        self,
        signature_name: str,
        inputs: Inputs,
        output_filter: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> dict[str, np.ndarray]:
        """Runs one signature.

        Args:
            signature_name: Name of the signature; empty for ``serving_default``.
            inputs: One tensor for each of the signature's inputs, by alias. Nothing is cast.
            output_filter: Aliases of the wanted outputs; empty for all of them.
            timeout_s: Seconds that the run may take; None for any time.

        Returns:
            The outputs by alias; strings as object arrays of ``bytes``.

        Raises:
            ServingError: With TensorFlow Serving's status code and message. Checked in its order: the
                signature, the number of inputs, their names and values, the filter; then whatever the runtime
                says.
        """
        signature = find_signature(self._signatures, signature_name or DEFAULT_SIGNATURE)
        fed = feeds(signature, inputs)
        fetched = fetches(signature, output_filter)
        values = self.runner(fed, [name for _, name in fetched], timeout_s)
        return {alias: value for (alias, _), value in zip(fetched, values, strict=True)}

    def run(self, fed: Feeds, fetched: Sequence[str], timeout_s: float | None = None) -> list[np.ndarray]:
        """Runs the graph.

        Args:
            fed: Pairs of tensor name and value. Nothing is cast.
            fetched: Names of the tensors to compute.
            timeout_s: Seconds that the run may take; None for any time.

        Returns:
            The values of the fetched tensors, in their order.

        Raises:
            ServingError: With the runtime's own status code and message.
        """
        with self.lease():
            return self._run(fed, fetched, timeout_s)

    def _run(self, fed: Feeds, fetched: Sequence[str], timeout_s: float | None) -> list[np.ndarray]:
        feed = {self._tensor(name): value for name, value in fed}
        fetch = [self._tensor(name) for name in fetched]
        options = None
        if timeout_s is not None and timeout_s < _LONGEST_TIMEOUT_S:
            # Zero would mean no limit.
            milliseconds = max(1, int(timeout_s * 1000))
            run_options = tf.compat.v1.RunOptions(timeout_in_ms=milliseconds)
            options = pywrap_tf_session.TF_NewBufferFromString(run_options.SerializeToString())
        try:
            values = pywrap_tf_session.TF_SessionRun_wrapper(self._session._session, options, feed, fetch, [], None)
        except tf.errors.OpError as error:
            raise error_for(error.error_code, error.message) from error
        except UnicodeDecodeError as error:
            # The runtime quotes the request's bytes, and the binding trips over those that are no UTF-8. It
            # keeps the message and loses the code; only what is wrong with the request is quoted from it.
            raise InvalidArgumentError(error.object.decode(errors="replace")) from None
        finally:
            if options is not None:
                pywrap_tf_session.TF_DeleteBuffer(options)
        # The binding hands a scalar string back as plain bytes.
        return [np.array(value, np.object_) if isinstance(value, bytes) else value for value in values]

    @contextmanager
    def lease(self) -> Iterator["Servable"]:
        """Keeps the model loaded while the block runs: ``close`` waits for it.

        Raises:
            UnavailableError: The model is closed, or being closed.
        """
        self.hold()
        try:
            yield self
        finally:
            self.release()

    def hold(self) -> None:
        """Takes a lease that ``release`` gives back; raises UnavailableError where the model is closed."""
        with self._changed:
            # Who holds a lease may take more: a model that is being closed still answers what it has begun.
            if self._closed and not self._leases:
                raise UnavailableError(f"The model in {self.directory} has been unloaded.")
            self._leases += 1

    def release(self) -> None:
        """Gives a lease back."""
        with self._changed:
            self._leases -= 1
            if not self._leases:
                self._changed.notify_all()

    def close(self) -> None:
        """Refuses new calls, waits for those that run, and frees the session."""
        with self._changed:
            already_closed, self._closed = self._closed, True
            self._changed.wait_for(lambda: self._leases == 0)
        if not already_closed:
            for callback in self.on_close:
                callback()
            self._session.close()
            # The graph holds the constants, vocabularies among them, and is in a cycle of references.
            self._tensors.clear()

    def __enter__(self) -> "Servable":
        """Returns the servable; it is closed when the block ends."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Closes the servable."""
        self.close()

    def _tensor(self, name: str) -> Any:
        """Returns the graph's tensor of this name, as the session's binding wants it."""
        if name not in self._tensors:
            try:
                self._tensors[name] = self._graph.get_tensor_by_name(name)._as_tf_output()
            except (KeyError, ValueError) as error:
                raise InvalidArgumentError(f"Tensor {name} was not found in the graph: {error}") from error
        return self._tensors[name]
