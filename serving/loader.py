"""Loads versions for a server: the SavedModel, batching around it, and its warm-up."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from serving.batch_scheduler import BatchScheduler
from serving.batching_parameters import PER_MODEL_FILE, BatchingParameters, read_batching_parameters
from serving.batching_session import BatchingSession
from serving.errors import ServableLoadError, ServingError
from serving.metrics import METRICS
from serving.servable import SERVE_TAG, Servable
from serving.warmup import warm_up


@dataclass(frozen=True)
class LoaderOptions:
    """How versions are loaded.

    Attributes:
        tags: The tags of the graph in a SavedModel.
        parallelism: Threads within an op, and between ops; 0 leaves it to TensorFlow.
        batching: Batching parameters; None runs every request alone.
        per_model_batching: Reads ``batching_params.pbtxt`` in a version directory, where there is one.
        warmup: Runs a model's warm-up requests.
        warmup_iterations: How often each of them is run.
    """

    tags: Sequence[str] = (SERVE_TAG,)
    parallelism: tuple[int, int] = (0, 0)
    batching: BatchingParameters | None = None
    per_model_batching: bool = False
    warmup: bool = True
    warmup_iterations: int = 1


class Loader:
    """Loads version directories into servables that are ready to answer.

    Args:
        options: How.
    """

    def __init__(self, options: LoaderOptions | None = None) -> None:
        self._options = options or LoaderOptions()
        # One pool of threads for all models, as in TensorFlow Serving.
        self._scheduler = BatchScheduler(self._options.batching) if self._options.batching else None

    def load(self, directory: Path, version: int) -> Servable:
        """Returns a loaded and warm version.

        Raises:
            ServableLoadError: It cannot be loaded, its batching parameters are wrong, or a warm-up request fails.
        """
        began = time.monotonic()
        try:
            servable = self._load(directory, version)
        except ServableLoadError:
            METRICS.load(str(directory), "fail", time.monotonic() - began)
            raise
        METRICS.load(str(directory), "success", time.monotonic() - began)
        return servable

    def close(self) -> None:
        """Runs the batches that wait and ends the threads; the servables are closed by who has them."""
        if self._scheduler is not None:
            self._scheduler.stop()

    def _load(self, directory: Path, version: int) -> Servable:
        options = self._options
        servable = Servable(directory, version, tags=options.tags, parallelism=options.parallelism)
        doing = ""
        try:
            scheduler = self._scheduler_for(directory)
            if scheduler is not None and scheduler is not self._scheduler:
                servable.on_close.append(scheduler.stop)
            if scheduler is not None:
                servable.runner = BatchingSession(servable.run, scheduler).run
            doing = "its warm-up failed: "
            if options.warmup:
                warm_up(servable, options.warmup_iterations)
        except ServingError as error:
            servable.close()
            raise ServableLoadError(f"cannot serve the SavedModel in {directory}: {doing}{error.message}") from error
        except BaseException:
            servable.close()
            raise
        return servable

    def _scheduler_for(self, directory: Path) -> BatchScheduler | None:
        file = directory / PER_MODEL_FILE
        if self._options.batching is None or not self._options.per_model_batching or not file.is_file():
            return self._scheduler
        try:
            parameters = read_batching_parameters(file)
        except OSError as error:
            raise ServableLoadError(f"cannot read {file}: {error}") from error
        return BatchScheduler(replace(parameters, thread_pool_name=f"{parameters.thread_pool_name}-{directory.name}"))
