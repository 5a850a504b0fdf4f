"""The configuration messages of TensorFlow Serving, and reading them from text files.

The wheel tensorflow-serving-api holds ``ModelServerConfig`` only. The others (session_bundle_config.proto,
monitoring_config.proto, ssl_config.proto) are built here, field by field with the numbers of the originals, in a
descriptor pool of their own: a package that brings the originals does not clash with them.
"""

from pathlib import Path
from typing import Any, TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format, wrappers_pb2
from google.protobuf.message import Message

from serving.errors import InvalidArgumentError
from serving.protos import ModelServerConfig

_PACKAGE = "tensorflow.serving"
_FIELD = descriptor_pb2.FieldDescriptorProto
_WRAPPERS = "google/protobuf/wrappers.proto"

# Name to (number, type). A type is a scalar's name, a message's full name, or either in a list for "repeated".
_Fields = dict[str, tuple[int, str | list[str]]]
_MESSAGES: dict[str, _Fields] = {
    "BatchingParameters": {
        "max_batch_size": (1, ".google.protobuf.Int64Value"),
        "batch_timeout_micros": (2, ".google.protobuf.Int64Value"),
        "max_enqueued_batches": (3, ".google.protobuf.Int64Value"),
        "num_batch_threads": (4, ".google.protobuf.Int64Value"),
        "thread_pool_name": (5, ".google.protobuf.StringValue"),
        "allowed_batch_sizes": (6, ["int64"]),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, ".google.protobuf.BoolValue"),
        "max_execution_batch_size": (9, ".google.protobuf.Int64Value"),
    },
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, ".tensorflow.serving.PrometheusConfig")},
    "SSLConfig": {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
}


def _field(name: str, number: int, kind: str | list[str]) -> descriptor_pb2.FieldDescriptorProto:
    repeated = isinstance(kind, list)
    element = kind[0] if isinstance(kind, list) else kind
    field = _FIELD(name=name, number=number, label=_FIELD.LABEL_REPEATED if repeated else _FIELD.LABEL_OPTIONAL)
    if element.startswith("."):
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, element
    else:
        field.type = _FIELD.Type.Value(f"TYPE_{element.upper()}")
    return field


def _build() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="serving/server_config.proto", package=_PACKAGE, syntax="proto3", dependency=[_WRAPPERS]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        message.field.extend(_field(field, number, kind) for field, (number, kind) in fields.items())
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    factory: Any = message_factory.MessageFactory(pool)
    return {name: factory.GetPrototype(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES}


_CLASSES = _build()
BatchingParametersProto = _CLASSES["BatchingParameters"]
MonitoringConfig = _CLASSES["MonitoringConfig"]
SSLConfig = _CLASSES["SSLConfig"]

__all__ = ["BatchingParametersProto", "ModelServerConfig", "MonitoringConfig", "SSLConfig", "read_text_proto"]

_Proto = TypeVar("_Proto", bound=Message)


def read_text_proto(path: Path, message: _Proto) -> _Proto:
    """Fills a message from a file in protobuf's text format and returns it.

    Raises:
        InvalidArgumentError: The file is not this message in text format; the message gives line and column, in
            TensorFlow Serving's words.
        OSError: It cannot be read.
    """
    try:
        text_format.Parse(Path(path).read_text(), message)
    except (text_format.ParseError, UnicodeDecodeError) as error:
        raise InvalidArgumentError(
            f"Error parsing text-format {message.DESCRIPTOR.full_name}: {error}: Invalid protobuf file: '{path}'"
        ) from None
    return message
