"""Warms a loaded model up with the requests that travel in it, before it answers others.

The first run of a graph is slow: TensorFlow optimises it then. A SavedModel may hold requests in
``assets.extra/tf_serving_warmup_requests``, a TFRecord file of PredictionLogs, that are run before the version becomes
available (saved_model_warmup_util.cc).
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError

from data.tfrecords import TFRecordError, read_records
from serving.errors import DataLossError, InvalidArgumentError, ServingError, UnimplementedError
from serving.inference import classify, multi_inference, predict, regress
from serving.metrics import METRICS
from serving.protos import PredictionLog
from serving.servable import Servable

logger = logging.getLogger(__name__)

WARMUP_FILE = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_RECORDS = 1000

_RUN: dict[str, Callable[[Servable, Any], Any]] = {
    "predict_log": predict,
    "classify_log": classify,
    "regress_log": regress,
    "multi_inference_log": multi_inference,
}


def warm_up(servable: Servable, iterations: int = 1) -> int:
    """Runs the warm-up requests of a model, if it has any.

    Args:
        servable: A loaded model that nobody else asks yet.
        iterations: How often each request is run.

    Returns:
        The number of records.

    Raises:
        ServingError: A record is not a request, or its request fails: the version is not to be served.
    """
    path = servable.directory / WARMUP_FILE
    if not path.is_file():
        return 0
    began = time.monotonic()
    try:
        records = _run_records(servable, path, iterations)
    except ServingError as error:
        METRICS.warmup(str(servable.directory), error.code.name, time.monotonic() - began)
        raise
    took = time.monotonic() - began
    METRICS.warmup(str(servable.directory), "OK", took)
    logger.info("warmed up with %d records of %s in %.2f s", records, path, took)
    return records


def _run_records(servable: Servable, path: Path, iterations: int) -> int:
    records = 0
    try:
        for record in read_records(path):
            _run_record(servable, record, path, iterations)
            records += 1
            if records > MAX_RECORDS:
                raise InvalidArgumentError(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {path}")
    except (TFRecordError, OSError) as error:
        raise DataLossError(f"{error}. Please verify your warmup data is in TFRecord format.") from None
    return records


def _run_record(servable: Servable, record: bytes, path: Path, iterations: int) -> None:
    try:
        log = PredictionLog.FromString(record)
    except DecodeError:
        raise InvalidArgumentError(f"Failed to parse warmup record: {record!r} from {path}") from None
    kind = log.WhichOneof("log_type")
    if kind not in _RUN:
        raise UnimplementedError(f"Unsupported log_type for warmup: {kind}")
    for _ in range(iterations):
        _RUN[kind](servable, getattr(log, kind).request)
