"""What a server bears and refuses: deadlines, garbage, strangers; and what it tells of itself."""

import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from serving.client import PredictClient, RetryPolicy
from serving.config_protos import SSLConfig, read_text_proto
from serving.credentials import ClientTls, SslConfigTls
from serving.errors import FailedPreconditionError, RequestFailedError
from serving.loader import Loader
from serving.protos import ModelSpec, PredictionServiceStub, PredictRequest
from serving.server import ModelServer, ServerOptions
from serving.tensors import to_proto
from tests.serving.conftest import Certificates
from tests.serving.rest import ask, get, post

NO_RETRY = RetryPolicy(attempts=1)


@pytest.fixture(scope="module")
def spinning(exports: dict[int, Path]) -> Iterator[ModelServer]:
    """A server of the model that can take long, with a short timeout over REST."""
    options = ServerOptions(exports[1].parent, "tiny", port=0, rest_port=0, rest_timeout_s=0.2, rest_cors=True)
    with ModelServer(options) as server:
        yield server


def test_past_the_deadline_over_grpc(spinning: ModelServer) -> None:
    with PredictClient(spinning.address, "tiny", retry=NO_RETRY, timeout_s=0.3) as client:
        with pytest.raises(RequestFailedError) as caught:
            client.predict_tensors({"turns": np.array(2**30, np.int32)}, signature_name="spin")
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


def test_past_the_deadline_over_rest_and_the_run_ends(spinning: ModelServer) -> None:
    began = time.monotonic()
    status, answer = post(spinning.rest_address, "/v1/models/tiny:predict", {"signature_name": "spin", "inputs": 2**30})
    assert status == 504
    assert answer == {"error": "Timed out waiting for notification"}
    assert time.monotonic() - began < 10


def test_other_origins_may_ask_where_that_is_switched_on(spinning: ModelServer, classic: ModelServer) -> None:
    status, headers, _ = ask(spinning.rest_address, "OPTIONS", "/v1/models/tiny:predict")
    assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert ask(spinning.rest_address, "GET", "/v1/models/tiny")[1]["Access-Control-Allow-Methods"] == "POST, GET"
    status, headers, _ = ask(classic.rest_address, "OPTIONS", "/v1/models/classic:predict")
    assert status == 400 and "Access-Control-Allow-Origin" not in headers


def test_a_body_beyond_the_limit(exports: dict[int, Path]) -> None:
    with ModelServer(ServerOptions(exports[1].parent, port=0, rest_port=0, max_message_bytes=1000)) as server:
        status, _, _ = ask(server.rest_address, "POST", "/v1/models/crocodile:predict", b"[" * 2000)
        assert status == 413
        assert get(server.rest_address, "/v1/models/crocodile")[0] == 200


def test_more_requests_than_may_be_open_are_refused(exports: dict[int, Path]) -> None:
    options = ServerOptions(exports[1].parent, "tiny", port=0, threads=1, max_requests=1)
    with (
        ModelServer(options) as server,
        PredictClient(server.address, "tiny", retry=NO_RETRY) as client,
        ThreadPoolExecutor(4) as pool,
    ):
        turns = {"turns": np.array(100_000, np.int32)}
        calls = [pool.submit(client.predict_tensors, turns, signature_name="spin") for _ in range(4)]
        errors = [call.exception() for call in calls]
    refused = [error for error in errors if isinstance(error, RequestFailedError)]
    assert None in errors and refused
    assert {error.code for error in refused} == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_unix_socket(exports: dict[int, Path], tmp_path: Path) -> None:
    path = tmp_path / "s"
    with ModelServer(ServerOptions(exports[1].parent, port=None, grpc_socket_path=path)) as server:
        assert server.address == f"unix:{path}"
        with PredictClient(server.address) as client:
            assert client.metadata().version == 2
    assert not path.exists()


def test_health_and_reflection(classic: ModelServer) -> None:
    with grpc.insecure_channel(classic.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "tensorflow.serving.PredictionService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        ask_reflection = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo
        requests = [
            reflection_pb2.ServerReflectionRequest(list_services=""),
            reflection_pb2.ServerReflectionRequest(file_containing_symbol="tensorflow.serving.PredictionService"),
        ]
        services, files = ask_reflection(iter(requests))
        assert "tensorflow.serving.ModelService" in {s.name for s in services.list_services_response.service}
        assert files.file_descriptor_response.file_descriptor_proto


def test_metrics_under_tensorflow_servings_names(classic: ModelServer) -> None:
    post(classic.rest_address, "/v1/models/classic:predict", {"signature_name": "rows", "instances": [[1.0]]})
    post(classic.rest_address, "/v1/models/nobody:predict", {"instances": [[1.0]]})
    status, headers, page = ask(classic.rest_address, "GET", "/monitoring/prometheus/metrics")
    assert (status, headers["Content-Type"]) == (200, "text/plain")
    lines = page.splitlines()
    for beginning in (
        "# TYPE :tensorflow:serving:request_count counter",
        ':tensorflow:serving:request_count{model_name="classic",status="OK"} ',
        "# TYPE :tensorflow:serving:request_latency histogram",
        ':tensorflow:serving:request_latency_bucket{API="Predict",entrypoint="REST",le="10.0",model_name="classic"} ',
        ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="REST",model_name="classic"} ',
        ':tensorflow:serving:runtime_latency_sum{API="Predict",model_name="classic",runtime="TF1"} ',
        ":tensorflow:cc:saved_model:load_attempt_count{",
    ):
        assert any(line.startswith(beginning) for line in lines), beginning
    # A client's invention makes no series of its own.
    assert "nobody" not in page


def test_no_metrics_unless_they_are_asked_for(spinning: ModelServer) -> None:
    assert ask(spinning.rest_address, "GET", "/monitoring/prometheus/metrics")[0] == 404


class TestSslConfig:
    @pytest.fixture(scope="class")
    def address(
        self, exports: dict[int, Path], certificates: Certificates, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[str]:
        """A server with mutual TLS, from TensorFlow Serving's file: the PEM texts themselves in it."""
        file = tmp_path_factory.mktemp("ssl") / "ssl.config"
        key, certificate, authority = (
            path.read_text().replace("\n", "\\n")
            for path in (certificates.server_key, certificates.server, certificates.ca)
        )
        file.write_text(
            f'server_key: "{key}"\nserver_cert: "{certificate}"\ncustom_ca: "{authority}"\nclient_verify: true\n'
        )
        config = read_text_proto(file, SSLConfig())
        tls = SslConfigTls(config.server_key, config.server_cert, config.custom_ca, config.client_verify)
        with ModelServer(ServerOptions(exports[1].parent, "tiny", port=0, tls=tls)) as server:
            yield server.address

    @staticmethod
    def version(address: str, tls: ClientTls | None) -> int:
        with PredictClient(address, "tiny", tls=tls, retry=NO_RETRY, timeout_s=10) as client:
            return client.metadata().version

    def test_who_has_a_certificate_is_answered(self, address: str, certificates: Certificates) -> None:
        assert self.version(address, ClientTls(certificates.ca, certificates.client, certificates.client_key)) == 2

    def test_who_has_none_or_trusts_another_is_not(self, address: str, certificates: Certificates) -> None:
        own = (certificates.client, certificates.client_key)
        for tls in (ClientTls(certificates.ca), ClientTls(certificates.other_ca, *own), None):
            with pytest.raises(RequestFailedError) as caught:
                self.version(address, tls)
            assert caught.value.code is grpc.StatusCode.UNAVAILABLE

    def test_clients_verified_by_nobody_is_an_error(self, exports: dict[int, Path]) -> None:
        with pytest.raises(ValueError, match="client_verify needs custom_ca"):
            ModelServer(ServerOptions(exports[1].parent, port=0, tls=SslConfigTls("k", "c", "", True))).start()


PROPER_CODES = {code for code in grpc.StatusCode if code is not grpc.StatusCode.UNAVAILABLE}


def test_garbage_over_grpc(classic: ModelServer) -> None:
    """Random and half-right bytes for every method: each gets a status, and then a good request its answer."""
    draw = random.Random(7)
    good = PredictRequest(model_spec=ModelSpec(name="classic", signature_name="rows"))
    good.inputs["matrix"].CopyFrom(to_proto(np.ones((2, 2), np.float32)))
    whole = good.SerializeToString()
    methods = ["Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata", "Nonsense"]
    with grpc.insecure_channel(classic.address) as channel:
        calls = [channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}") for method in methods]
        calls += [
            channel.unary_unary(f"/tensorflow.serving.ModelService/{method}")
            for method in ("GetModelStatus", "HandleReloadConfigRequest")
        ]
        for i in range(400):
            mutated = bytearray(whole)
            for _ in range(draw.randint(1, 6)):
                mutated[draw.randrange(len(mutated))] = draw.randrange(256)
            content = draw.randbytes(draw.randrange(200)) if i % 3 == 0 else bytes(mutated)
            try:
                calls[i % len(calls) if i % 3 == 0 else 0](content, timeout=10)
            except grpc.RpcError as error:
                assert error.code() in PROPER_CODES, error
        response = PredictionServiceStub(channel).Predict(good)
        assert list(response.outputs["sum"].float_val) == [2.0, 2.0]


def test_garbage_over_rest(classic: ModelServer) -> None:
    draw = random.Random(8)
    whole = b'{"signature_name": "rows", "instances": [[1.0, 2.5], [3, 4]]}'
    paths = ["/v1/models/classic:predict", "/v1/models/classic:classify", "/v1/models/%ff%00:regress", "/v1/%", "//v1"]
    for i in range(300):
        mutated = bytearray(whole)
        for _ in range(draw.randint(1, 5)):
            mutated[draw.randrange(len(mutated))] = draw.randrange(256)
        content = draw.randbytes(draw.randrange(200)) if i % 4 == 0 else bytes(mutated)
        status, _, _ = ask(classic.rest_address, draw.choice(["POST", "POST", "GET", "PUT"]), paths[i % 5], content)
        assert status in (200, 400, 404)
    host, _, port = classic.rest_address.rpartition(":")
    for line in (
        b"\x00\xff\r\n\r\n",
        b"GET\r\n\r\n",
        b"POST /v1/models/classic:predict HTTP/1.1\r\nContent-Length: x\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), 5) as raw:
            raw.sendall(line)
            assert raw.recv(100).startswith(b"HTTP/1.")
    assert get(classic.rest_address, "/v1/models/classic")[0] == 200


def test_a_model_whose_variables_are_not_restored_is_refused_as_there(tmp_path: Path) -> None:
    """As an export of Keras 3: it loads, and then its restore op has not brought what the graph reads."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        x = tf.compat.v1.placeholder(tf.float32, [None])
        kept = tf.compat.v1.get_variable("kept", initializer=1.0, use_resource=True)
        lost = tf.compat.v1.get_variable("lost", initializer=2.0, use_resource=True)
        info = tf.compat.v1.saved_model.build_tensor_info
        signature = tf.compat.v1.saved_model.build_signature_def(
            {"x": info(x)}, {"y": info(x * kept + lost)}, "predict"
        )
        session.run(tf.compat.v1.global_variables_initializer())
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
        saver = tf.compat.v1.train.Saver([kept])
        builder.add_meta_graph_and_variables(session, ["serve"], {"serving_default": signature}, saver=saver)
        builder.save()
    with Loader().load(tmp_path / "1", 1) as servable:
        with pytest.raises(FailedPreconditionError, match="Could not find variable lost"):
            servable.predict("", {"x": np.ones(1, np.float32)})
