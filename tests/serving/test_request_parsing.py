"""Calls whose requests cannot be parsed: answered as gRPC answers them, and freed, which gRPC does not do."""

from collections.abc import Callable, Iterator
from concurrent import futures

import grpc
import psutil
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from serving.protos import (
    POOL,
    PredictionServiceServicer,
    PredictionServiceStub,
    PredictRequest,
    PredictResponse,
    add_PredictionServiceServicer_to_server,
)
from serving.request_parsing import ParsingInterceptor


class Service(PredictionServiceServicer):
    def Predict(self, request, context):
        response = PredictResponse()
        response.model_spec.name = request.model_spec.name
        return response


@pytest.fixture(scope="module")
def channel() -> Iterator[grpc.Channel]:
    server = grpc.server(futures.ThreadPoolExecutor(4), interceptors=[ParsingInterceptor()])
    add_PredictionServiceServicer_to_server(Service(), server)
    servicer = health.HealthServicer()
    servicer.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    reflection.enable_server_reflection((PredictionServiceStub.service,), server, POOL)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel
    server.stop(None).wait()


def test_requests_that_can_be_parsed_are_answered(channel: grpc.Channel) -> None:
    request = PredictRequest()
    request.model_spec.name = "m"
    assert PredictionServiceStub(channel).Predict(request, timeout=20).model_spec.name == "m"
    stub = health_pb2_grpc.HealthStub(channel)
    serving = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
    assert stub.Check(health_pb2.HealthCheckRequest(), timeout=20) == serving
    watch = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)
    assert next(watch) == serving
    watch.cancel()
    info = channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        reflection_pb2.ServerReflectionRequest.SerializeToString,
        reflection_pb2.ServerReflectionResponse.FromString,
    )
    asked = [reflection_pb2.ServerReflectionRequest(list_services="")] * 2
    for answer in info(iter(asked), timeout=20):
        assert [service.name for service in answer.list_services_response.service] == [PredictionServiceStub.service]
    nothing = channel.unary_unary("/tensorflow.serving.PredictionService/Nothing", None, None)
    assert nothing.future(b"", timeout=20).code() is grpc.StatusCode.UNIMPLEMENTED


CALLS: dict[str, Callable[[grpc.Channel], grpc.Future]] = {
    "Predict": lambda channel: channel.unary_unary("/tensorflow.serving.PredictionService/Predict", None, None).future(
        b"\xff\xff\xff", timeout=20
    ),
    "health": lambda channel: channel.unary_unary("/grpc.health.v1.Health/Check", None, None).future(
        b"\xff\xff\xff", timeout=20
    ),
    "reflection": lambda channel: channel.stream_stream(
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", None, None
    )(iter([b"\xff\xff\xff"]), timeout=20),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_cannot_be_parsed_is_freed(channel: grpc.Channel, name: str) -> None:
    def ask(count: int) -> set[tuple[grpc.StatusCode, str]]:
        answers = set()
        for _ in range(count // 16):
            under_way = [CALLS[name](channel) for _ in range(16)]
            answers |= {(call.code(), call.details()) for call in under_way}
        return answers

    assert ask(320) == {(grpc.StatusCode.INTERNAL, "Exception deserializing request!")}
    before = psutil.Process().memory_info().rss
    ask(960)
    grown = psutil.Process().memory_info().rss - before
    assert grown < 6 * 2**20, f"{grown / 960:.0f} bytes a call"
