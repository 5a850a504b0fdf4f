"""ModelService: the states of versions, and changes of the configuration (model_service_impl.cc)."""

from typing import Any

import grpc

from serving.errors import InvalidArgumentError, NotFoundError
from serving.protos import GetModelStatusResponse, ModelServiceServicer, ReloadConfigResponse
from serving.server_core import ServerCore
from serving.status import answer

_NOT_A_LIST = (
    "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
)


class ModelService(ModelServiceServicer):
    """Answers over gRPC.

    Args:
        core: The served models.
    """

    def __init__(self, core: ServerCore) -> None:
        self._core = core

    def GetModelStatus(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 (gRPC's name)
        """Returns the states of one version of a model, or of all."""
        return answer(lambda asked: model_status(self._core, asked), request, context)

    def HandleReloadConfigRequest(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        """Replaces the configuration; answers when its new models are loaded."""
        return answer(self.reload, request, context)

    def reload(self, request: Any) -> Any:
        """Returns the answer to a ReloadConfigRequest; raises ServingError."""
        if request.config.WhichOneof("config") != "model_config_list":
            raise InvalidArgumentError(_NOT_A_LIST)
        self._core.reload(request.config)
        response = ReloadConfigResponse()
        response.status.SetInParent()
        return response


def model_status(core: ServerCore, request: Any) -> Any:
    """Returns the answer to a GetModelStatusRequest; raises ServingError. A label counts for nothing, as there."""
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    spec = request.model_spec
    states = core.states(spec.name)
    if spec.HasField("version"):
        version = spec.version.value
        if version not in states:
            raise NotFoundError(f"Could not find version {version} of model {spec.name}")
        states = {version: states[version]}
    elif not states:
        raise NotFoundError(f"Could not find any versions of model {spec.name}")
    response = GetModelStatusResponse()
    for version, state in states.items():
        status = response.model_version_status.add(version=version, state=int(state.state))
        status.status.SetInParent()
        if state.error is not None:
            status.status.error_code = state.error.code.value[0]
            status.status.error_message = state.error.message
    return response
