"""Dynamic batching's parameters: TensorFlow Serving's names, defaults and checks."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving.config_protos import BatchingParametersProto, read_text_proto
from serving.errors import InvalidArgumentError

# Looked for in a version directory where --enable_per_model_batching_parameters is set.
PER_MODEL_FILE = "batching_params.pbtxt"


@dataclass(frozen=True)
class BatchingParameters:
    """How requests are merged into one run (session_bundle_config.proto, shared_batch_scheduler.h).

    Attributes:
        max_batch_size: Most rows of a batch, and of a request.
        batch_timeout_micros: How long an open batch waits for more rows while a thread is free.
        max_enqueued_batches: Most batches that wait for a thread, for each signature.
        num_batch_threads: Batches that run at once.
        thread_pool_name: Name of their threads, and a label of the metrics.
        allowed_batch_sizes: Sizes that batches are padded to, ascending; empty for any size.
        pad_variable_length_inputs: Pads inner dimensions to the longest of a batch.
        enable_large_batch_splitting: Spreads a request over several batches.
        max_execution_batch_size: Most rows of a batch that runs, where requests are split; 0 for max_batch_size.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    thread_pool_name: str = "model_server_batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    def __post_init__(self) -> None:
        """Raises InvalidArgumentError where the parameters contradict each other."""
        for name, least, word in (
            ("max_batch_size", 1, "positive"),
            ("batch_timeout_micros", 0, "non-negative"),
            ("max_enqueued_batches", 0, "non-negative"),
            ("num_batch_threads", 1, "positive"),
            ("max_execution_batch_size", 0, "non-negative"),
        ):
            if getattr(self, name) < least:
                raise InvalidArgumentError(f"{name} must be {word}; was {getattr(self, name)}")
        if self.enable_large_batch_splitting and self.execution_size > self.max_batch_size:
            raise InvalidArgumentError(
                "max_batch_size should be larger than or equal to max_execution_batch_size; "
                f"max_batch_size was {self.max_batch_size}; max_execution_batch_size was {self.execution_size}"
            )
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if any(size >= later for size, later in zip(sizes, sizes[1:], strict=False)) or sizes[0] < 1:
            raise InvalidArgumentError("allowed_batch_sizes entries must be monotonically increasing")
        if sizes[-1] != self.execution_size:
            name = (
                "be equal to max_execution_batch_size" if self.enable_large_batch_splitting else "match max_batch_size"
            )
            raise InvalidArgumentError(
                f"Last entry in allowed_batch_sizes must {name}; last entry was {sizes[-1]}; "
                f"expected {self.execution_size}"
            )

    @property
    def execution_size(self) -> int:
        """The most rows of a batch that runs."""
        return (self.enable_large_batch_splitting and self.max_execution_batch_size) or self.max_batch_size

    def padded_size(self, rows: int) -> int:
        """Returns the smallest allowed batch size that holds so many rows."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)


def read_batching_parameters(path: Path) -> BatchingParameters:
    """Reads a BatchingParameters text file; what it leaves out has its default.

    Raises:
        InvalidArgumentError: It is no such file, or its values contradict each other; names the file.
        OSError: It cannot be read.
    """
    message = read_text_proto(path, BatchingParametersProto())
    values: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name == "allowed_batch_sizes":
            values[field.name] = tuple(value)
        else:
            values[field.name] = value.value if field.message_type else value
    try:
        return BatchingParameters(**values)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"{path}: {error.message}") from None
