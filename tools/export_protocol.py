"""Writes serving/protocol.binpb: the messages of TensorFlow Serving's protocol, out of the installed packages.

The published definitions lie inside the packages tensorflow and tensorflow-serving-api, and a client should need
neither. Run this after either was updated; tests/serving/test_protos.py fails when it was forgotten.

usage: python tools/export_protocol.py [FILE]
"""

import sys
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import model_service_pb2, prediction_log_pb2, prediction_service_pb2
from tensorflow_serving.config import model_server_config_pb2

FILE = Path(__file__).parent.parent / "serving" / "protocol.binpb"
# With all that they import.
_ROOTS = (example_pb2, model_server_config_pb2, model_service_pb2, prediction_log_pb2, prediction_service_pb2)


def serialized_definitions() -> bytes:
    """A FileDescriptorSet of the protocol, every file after those that it imports."""
    files = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(descriptor: FileDescriptor) -> None:
        if descriptor.name in seen:
            return
        seen.add(descriptor.name)
        for dependency in descriptor.dependencies:
            add(dependency)
        descriptor.CopyToProto(files.file.add())

    for root in _ROOTS:
        add(root.DESCRIPTOR)
    content: bytes = files.SerializeToString(deterministic=True)
    return content


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else FILE).write_bytes(serialized_definitions())
