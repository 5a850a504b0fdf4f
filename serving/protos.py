"""The messages and stubs of TensorFlow Serving's protocol, without TensorFlow.

The definitions are those that TensorFlow and tensorflow-serving-api publish, in ``protocol.binpb`` (written by
``tools/export_protocol.py``). They are read into a pool of their own: the same bytes on the wire as TensorFlow's
own classes, from protobuf 3.20 on, and no conflict with them where TensorFlow is installed too, in whatever
version. So these classes and TensorFlow's are different classes: what passes from one to the other passes as bytes.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

PROTOCOL_FILE = Path(__file__).with_name("protocol.binpb")


def _read_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(PROTOCOL_FILE.read_bytes()).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


POOL = _read_pool()
if hasattr(message_factory, "GetMessageClass"):
    _message_class: Callable[[Any], Any] = message_factory.GetMessageClass
else:  # protobuf before 4.22
    _message_class = getattr(message_factory.MessageFactory(POOL), "GetPrototype")  # noqa: B009 (unknown to the stubs)


def _message(name: str) -> Any:
    return _message_class(POOL.FindMessageTypeByName(name))


BytesList: Any = _message("tensorflow.BytesList")
Example: Any = _message("tensorflow.Example")
Feature: Any = _message("tensorflow.Feature")
Features: Any = _message("tensorflow.Features")
FloatList: Any = _message("tensorflow.FloatList")
Int64List: Any = _message("tensorflow.Int64List")
SignatureDef: Any = _message("tensorflow.SignatureDef")
TensorInfo: Any = _message("tensorflow.TensorInfo")
TensorProto: Any = _message("tensorflow.TensorProto")
TensorShapeProto: Any = _message("tensorflow.TensorShapeProto")
DataType: Any = enum_type_wrapper.EnumTypeWrapper(POOL.FindEnumTypeByName("tensorflow.DataType"))

ClassificationRequest: Any = _message("tensorflow.serving.ClassificationRequest")
ClassificationResponse: Any = _message("tensorflow.serving.ClassificationResponse")
GetModelMetadataRequest: Any = _message("tensorflow.serving.GetModelMetadataRequest")
GetModelMetadataResponse: Any = _message("tensorflow.serving.GetModelMetadataResponse")
GetModelStatusRequest: Any = _message("tensorflow.serving.GetModelStatusRequest")
GetModelStatusResponse: Any = _message("tensorflow.serving.GetModelStatusResponse")
InferenceResult: Any = _message("tensorflow.serving.InferenceResult")
InferenceTask: Any = _message("tensorflow.serving.InferenceTask")
Input: Any = _message("tensorflow.serving.Input")
ModelServerConfig: Any = _message("tensorflow.serving.ModelServerConfig")
ModelSpec: Any = _message("tensorflow.serving.ModelSpec")
ModelVersionStatus: Any = _message("tensorflow.serving.ModelVersionStatus")
MultiInferenceRequest: Any = _message("tensorflow.serving.MultiInferenceRequest")
MultiInferenceResponse: Any = _message("tensorflow.serving.MultiInferenceResponse")
PredictionLog: Any = _message("tensorflow.serving.PredictionLog")
PredictRequest: Any = _message("tensorflow.serving.PredictRequest")
PredictResponse: Any = _message("tensorflow.serving.PredictResponse")
RegressionRequest: Any = _message("tensorflow.serving.RegressionRequest")
RegressionResponse: Any = _message("tensorflow.serving.RegressionResponse")
ReloadConfigRequest: Any = _message("tensorflow.serving.ReloadConfigRequest")
ReloadConfigResponse: Any = _message("tensorflow.serving.ReloadConfigResponse")
SignatureDefMap: Any = _message("tensorflow.serving.SignatureDefMap")


class _Stub:
    """A client's side of a service: one callable for each of its methods."""

    service: str

    def __init__(self, channel: Any) -> None:
        service = POOL.FindServiceByName(self.service)
        for method in service.methods:
            call = channel.unary_unary(
                f"/{service.full_name}/{method.name}",
                request_serializer=_message_class(method.input_type).SerializeToString,
                response_deserializer=_message_class(method.output_type).FromString,
            )
            setattr(self, method.name, call)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.service} has no method {name}")


class PredictionServiceStub(_Stub):
    """PredictionService: Predict, Classify, Regress, MultiInference and GetModelMetadata."""

    service = "tensorflow.serving.PredictionService"


class ModelServiceStub(_Stub):
    """ModelService: GetModelStatus and HandleReloadConfigRequest."""

    service = "tensorflow.serving.ModelService"


class PredictionServiceServicer:
    """The server's side: a subclass has a method for each that it answers; the others are UNIMPLEMENTED."""


class ModelServiceServicer:
    """The server's side: a subclass has a method for each that it answers; the others are UNIMPLEMENTED."""


def _add(servicer: object, server: Any, name: str) -> None:
    service = POOL.FindServiceByName(name)
    handlers = {
        method.name: grpc.unary_unary_rpc_method_handler(
            getattr(servicer, method.name),
            request_deserializer=_message_class(method.input_type).FromString,
            response_serializer=_message_class(method.output_type).SerializeToString,
        )
        for method in service.methods
        if hasattr(servicer, method.name)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))


def add_PredictionServiceServicer_to_server(servicer: PredictionServiceServicer, server: Any) -> None:  # noqa: N802
    """Registers a servicer; the name is the one that gRPC's own generator gives."""
    _add(servicer, server, PredictionServiceStub.service)


def add_ModelServiceServicer_to_server(servicer: ModelServiceServicer, server: Any) -> None:  # noqa: N802
    """Registers a servicer; the name is the one that gRPC's own generator gives."""
    _add(servicer, server, ModelServiceStub.service)
