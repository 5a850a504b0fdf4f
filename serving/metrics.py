"""The server's Prometheus metrics, under TensorFlow Serving's names.

TensorFlow Serving's names have ``:`` for every ``/`` and end as they end there: its counters carry no ``_total``
unless it is part of the name. Times are in microseconds.
"""

import re
from functools import lru_cache
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Histogram

DEFAULT_PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = "text/plain"


def _exponential(scale: float, growth: float, buckets: int) -> list[float]:
    """The bucket limits of TensorFlow's ``monitoring::Buckets::Exponential``."""
    return [scale * growth**i for i in range(buckets)]


_LATENCY = _exponential(10, 1.8, 33)
_MICROS = 1e6


class Metrics:
    """All metrics of this process; safe to use from many threads."""

    def __init__(self) -> None:
        # Its types are not declared. TensorFlow Serving tells no times of creation.
        getattr(prometheus_client, "disable_created_metrics")()  # noqa: B009
        self._registry = CollectorRegistry()
        self._plain_counters: list[str] = []
        self._request_count = self._counter("request_count", "The total number of requests.", "model_name", "status")
        self._request_latency = self._histogram(
            "request_latency",
            "Distribution of wall time (in microseconds) for Tensorflow Serving request.",
            _LATENCY,
            "model_name",
            "API",
            "entrypoint",
        )
        self._runtime_latency = self._histogram(
            "runtime_latency",
            "Distribution of wall time (in microseconds) for Tensorflow runtime.",
            _LATENCY,
            "model_name",
            "API",
            "runtime",
        )
        self._example_counts = self._histogram(
            "request_example_counts",
            "The number of tensorflow.Examples per request.",
            _exponential(1, 2, 15),
            "model",
        )
        self._example_count_total = self._counter(
            "request_example_count_total", "The total number of tensorflow.Examples.", "model"
        )
        self._warmup_latency = self._histogram(
            "model_warmup_latency",
            "Distribution of wall time (in microseconds) for warming up the model.",
            _LATENCY,
            "model_path",
            "status",
        )
        self._queueing = self._histogram(
            "batching_session:queuing_latency",
            "Distribution of wall time spent (in microseconds) in queuing",
            _exponential(100, 1.2, 52),
            "thread_pool_name",
        )
        self._batch_size = self._histogram(
            "batching:processed_batch_size", "Rows of the batches that ran.", _exponential(1, 2, 15), "thread_pool_name"
        )
        self._padding = self._histogram(
            "batching:padding_size", "Rows that batches were padded with.", _exponential(1, 2, 14), "thread_pool_name"
        )
        self._load_attempts = self._counter(
            ":tensorflow:cc:saved_model:load_attempt_count",
            "The number of times a SavedModel was requested to be loaded.",
            "model_path",
            "status",
        )
        self._load_latency = self._counter(
            ":tensorflow:cc:saved_model:load_latency",
            "Latency in microseconds for SavedModels that were successfully loaded.",
            "model_path",
        )

    def request(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts a request; its time only where it was answered, as TensorFlow Serving does."""
        self._request_count(model, status).inc()
        if status == "OK":
            self._request_latency(model, api, entrypoint).observe(seconds * _MICROS)

    def runtime(self, model: str, api: str, seconds: float) -> None:
        """Records the time that a request spent in TensorFlow."""
        self._runtime_latency(model, api, "TF1").observe(seconds * _MICROS)

    def examples(self, model: str, count: int) -> None:
        """Records the number of tf.Examples of a request."""
        self._example_counts(model).observe(count)
        self._example_count_total(model).inc(count)

    def warmup(self, model_path: str, status: str, seconds: float) -> None:
        """Records a model's warm-up."""
        self._warmup_latency(model_path, status).observe(seconds * _MICROS)

    def load(self, model_path: str, status: str, seconds: float) -> None:
        """Counts an attempt to load a SavedModel."""
        self._load_attempts(model_path, status).inc()
        if status == "success":
            self._load_latency(model_path).inc(seconds * _MICROS)

    def batch_queueing(self, pool: str, seconds: float) -> None:
        """Records how long a request waited for its batch to run."""
        self._queueing(pool).observe(seconds * _MICROS)

    def batch(self, pool: str, size: int, padding: int) -> None:
        """Records a batch that runs."""
        self._batch_size(pool).observe(size)
        self._padding(pool).observe(padding)

    def page(self) -> bytes:
        """Returns everything in Prometheus' text format."""
        page = prometheus_client.generate_latest(self._registry)
        return re.sub(
            rb"(?m)^((?:# (?:HELP|TYPE) )?(?:%s))_total\b" % "|".join(self._plain_counters).encode(), rb"\1", page
        )

    def _counter(self, name: str, documentation: str, *labels: str) -> Any:
        full = name if name.startswith(":") else f":tensorflow:serving:{name}"
        if not full.endswith("_total"):
            self._plain_counters.append(full)
        return _cells(Counter(full, documentation, labels, registry=self._registry))

    def _histogram(self, name: str, documentation: str, buckets: list[float], *labels: str) -> Any:
        full = f":tensorflow:serving:{name}"
        return _cells(Histogram(full, documentation, labels, buckets=buckets, registry=self._registry))


def _cells(metric: Any) -> Any:
    """Returns the metric's cell for some label values, found without its lock after the first time."""
    return lru_cache(maxsize=4096)(lambda *values: metric.labels(*values))


METRICS = Metrics()
