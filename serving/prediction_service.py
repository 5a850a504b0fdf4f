"""PredictionService over gRPC, and what it shares with REST: finding the model, counting, timing."""

import logging
import time
from collections.abc import Callable
from typing import Any

import grpc

from serving import inference
from serving.errors import InvalidArgumentError, ServingError
from serving.metrics import METRICS
from serving.protos import PredictionServiceServicer
from serving.servable import Servable
from serving.server_core import ServerCore
from serving.status import answer

logger = logging.getLogger(__name__)
# One line for each request, where it is switched on.
request_logger = logging.getLogger("serving.requests")

Respond = Callable[[Servable, Any, float | None], Any]


class RequestRunner:
    """Runs requests on the models that they name.

    Args:
        core: The served models.
    """

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    def predict(self, request: Any, timeout_s: float | None, entrypoint: str = "GRPC") -> Any:
        """Returns the answer to a PredictRequest; raises ServingError where there is none."""
        return self._counted("Predict", inference.predict, request, timeout_s, entrypoint)

    def classify(self, request: Any, timeout_s: float | None, entrypoint: str = "GRPC") -> Any:
        """Returns the answer to a ClassificationRequest; raises ServingError where there is none."""
        return self._counted("Classify", inference.classify, request, timeout_s, entrypoint)

    def regress(self, request: Any, timeout_s: float | None, entrypoint: str = "GRPC") -> Any:
        """Returns the answer to a RegressionRequest; raises ServingError where there is none."""
        return self._counted("Regress", inference.regress, request, timeout_s, entrypoint)

    def multi_inference(self, request: Any, timeout_s: float | None, entrypoint: str = "GRPC") -> Any:
        """Returns the answer to a MultiInferenceRequest; raises ServingError where there is none."""
        return self._counted("MultiInference", inference.multi_inference, request, timeout_s, entrypoint)

    def model_metadata(self, request: Any) -> Any:
        """Returns the answer to a GetModelMetadataRequest; raises ServingError where there is none."""
        if not request.HasField("model_spec"):
            raise InvalidArgumentError("Missing ModelSpec")
        inference.check_metadata_fields(request.metadata_field)
        with self._core.servable(request.model_spec) as servable:
            return inference.model_metadata(servable, request)

    def _counted(self, api: str, respond: Respond, request: Any, timeout_s: float | None, entrypoint: str) -> Any:
        began = time.monotonic()
        status = "OK"
        known, version = "", None
        try:
            spec = _model_spec(api, request)
            # The name of a model that is not served is the client's invention: it makes no new series.
            known = spec.name if self._core.has(spec.name) else ""
            with self._core.servable(spec) as servable:
                version = servable.version
                return respond(servable, request, timeout_s)
        except ServingError as error:
            status = error.code.name
            raise
        except Exception:
            status = "INTERNAL"
            raise
        finally:
            took = time.monotonic() - began
            METRICS.request(known, api, entrypoint, status, took)
            if request_logger.isEnabledFor(logging.DEBUG):
                request_logger.debug(
                    "%s %s %s %.2f ms", entrypoint, api, status, took * 1000,
                    extra={
                        "api": api, "entrypoint": entrypoint, "model": known, "version": version, "status": status,
                        "latency_ms": round(took * 1000, 3),
                    },
                )  # fmt: skip


def _model_spec(api: str, request: Any) -> Any:
    if api == "MultiInference":
        if request.tasks and request.tasks[0].HasField("model_spec"):
            return request.tasks[0].model_spec
        raise InvalidArgumentError("ModelSpec has no name specified.")
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return request.model_spec


class PredictionService(PredictionServiceServicer):
    """Answers over gRPC.

    Args:
        runner: Runs the requests.
        enforce_timeout: Whether a run ends at the client's deadline.
    """

    def __init__(self, runner: RequestRunner, *, enforce_timeout: bool = True) -> None:
        self._runner = runner
        self._enforce_timeout = enforce_timeout

    def Predict(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (gRPC's names)
        """Runs one signature of one version of a model."""
        return self._answer(self._runner.predict, request, context)

    def Classify(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Classifies tf.Examples."""
        return self._answer(self._runner.classify, request, context)

    def Regress(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Returns a number for each tf.Example."""
        return self._answer(self._runner.regress, request, context)

    def MultiInference(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Classifies and regresses the same tf.Examples in one run."""
        return self._answer(self._runner.multi_inference, request, context)

    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Returns the signatures of one version of a model."""
        return answer(self._runner.model_metadata, request, context)

    def _answer(self, run: Callable[..., Any], request: Any, context: grpc.ServicerContext) -> Any:
        timeout = context.time_remaining() if self._enforce_timeout else None
        return answer(lambda asked: run(asked, timeout), request, context)
