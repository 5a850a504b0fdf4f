"""The messages and stubs of TensorFlow Serving's protocol: the one place in serving that imports them.

The generated modules lie inside the ``tensorflow`` package, so importing them costs TensorFlow's start-up
time. Everything that speaks the protocol imports the names below from here and nothing from ``tensorflow``: a
client without TensorFlow then needs another source for these names, and no other change.
"""

from tensorflow.core.example.example_pb2 import Example
from tensorflow.core.example.feature_pb2 import BytesList, Feature, Features, FloatList, Int64List
from tensorflow.core.framework.tensor_pb2 import TensorProto
from tensorflow.core.framework.tensor_shape_pb2 import TensorShapeProto
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf.meta_graph_pb2 import SignatureDef, TensorInfo
from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataRequest,
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.model_pb2 import ModelSpec
from tensorflow_serving.apis.predict_pb2 import PredictRequest, PredictResponse
from tensorflow_serving.apis.prediction_service_pb2_grpc import (
    PredictionServiceServicer,
    PredictionServiceStub,
    add_PredictionServiceServicer_to_server,
)

__all__ = [
    "BytesList",
    "DataType",
    "Example",
    "Feature",
    "Features",
    "FloatList",
    "GetModelMetadataRequest",
    "GetModelMetadataResponse",
    "Int64List",
    "ModelSpec",
    "PredictRequest",
    "PredictResponse",
    "PredictionServiceServicer",
    "PredictionServiceStub",
    "SignatureDef",
    "SignatureDefMap",
    "TensorInfo",
    "TensorProto",
    "TensorShapeProto",
    "add_PredictionServiceServicer_to_server",
]
