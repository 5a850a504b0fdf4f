import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest

from serving.client import PredictClient, RetryPolicy
from serving.credentials import ClientTls, ServerTls
from serving.embedded import embedded_server
from serving.errors import RequestFailedError, ServableLoadError
from serving.protos import (
    GetModelMetadataRequest,
    ModelSpec,
    PredictionServiceStub,
    PredictRequest,
    SignatureDefMap,
)
from serving.server import ModelServer, ServerOptions
from serving.tensors import to_ndarray, to_proto
from tests.serving.conftest import Certificates, Rows
from tests.serving.tiny_model import RAW_FEATURES

NO_RETRY = RetryPolicy(attempts=1)


@contextmanager
def serving(base_path: Path, **options: object) -> Iterator[ModelServer]:
    with ModelServer(ServerOptions(base_path, "tiny", port=0, **options)) as server:  # type: ignore[arg-type]
        yield server


def request(signature: str, **inputs: np.ndarray) -> PredictRequest:
    message = PredictRequest(model_spec=ModelSpec(name="tiny", signature_name=signature))
    for alias, value in inputs.items():
        message.inputs[alias].CopyFrom(to_proto(value))
    return message


def test_scores_are_the_sessions(stub: PredictionServiceStub, rows: Rows) -> None:
    raw = stub.Predict(request("serving_raw", **rows.raw))
    examples = stub.Predict(request("", examples=np.array(rows.examples, np.object_)))
    for response in (raw, examples):
        scores = to_ndarray(response.outputs["probability"])
        np.testing.assert_allclose(scores, rows.scores[1], atol=1e-6)


def test_the_response_says_what_answered(stub: PredictionServiceStub) -> None:
    asked = request("", examples=np.array([b""], np.object_))
    answered = stub.Predict(asked)
    spec = answered.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("tiny", 1, "serving_default")
    asked.model_spec.version.value = 1
    assert stub.Predict(asked) == answered
    # Clients read the typed list.
    assert len(answered.outputs["probability"].float_val) == 1


def test_metadata_is_the_models_signatures(stub: PredictionServiceStub) -> None:
    response = stub.GetModelMetadata(
        GetModelMetadataRequest(model_spec=ModelSpec(name="tiny"), metadata_field=["signature_def"])
    )
    signatures = SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert (response.model_spec.name, response.model_spec.version.value) == ("tiny", 1)
    raw = signatures.signature_def["serving_raw"]
    assert {name: info.dtype for name, info in raw.inputs.items()} == {
        name: dtype.as_datatype_enum for name, dtype in RAW_FEATURES.items()
    }
    assert raw.method_name == "tensorflow/serving/predict"


def test_concurrent_callers_get_their_own_rows(server: ModelServer, rows: Rows) -> None:
    def one(i: int) -> float:
        return client.predict([rows.examples[i]]).item()

    with PredictClient(server.address, "tiny") as client, ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(one, list(range(50)) * 4))
    np.testing.assert_allclose(scores, np.tile(rows.scores[1], 4), atol=1e-6)


def test_a_new_version_is_picked_up(base_path: Path, push: Callable[[Path, int, int], Path], rows: Rows) -> None:
    with (
        serving(base_path, file_system_poll_wait_seconds=0.05) as server,
        PredictClient(server.address, "tiny") as client,
    ):
        np.testing.assert_allclose(client.predict(rows.examples), rows.scores[1], atol=1e-6)
        push(base_path, 2, 3)
        deadline = time.monotonic() + 10
        while client.metadata().version != 3 and time.monotonic() < deadline:
            time.sleep(0.02)
        np.testing.assert_allclose(client.predict(rows.examples), rows.scores[2], atol=1e-6)
        assert server.ready_line() == f"serving tiny version 3 at {server.address}"


def test_only_this_machine_can_connect_by_default(base_path: Path) -> None:
    assert ServerOptions(base_path).host == "127.0.0.1"
    with serving(base_path) as server:
        port = int(server.address.rpartition(":")[2])
        assert server.address == f"127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port), 5).close()
        # Another address of this machine: a server bound to all of them would answer.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 5)
    with serving(base_path, host="0.0.0.0") as server:
        socket.create_connection(("127.0.0.2", int(server.address.rpartition(":")[2])), 5).close()


def test_a_port_in_use_is_an_error(base_path: Path, server: ModelServer) -> None:
    port = int(server.address.rpartition(":")[2])
    with pytest.raises(OSError, match=f"127.0.0.1:{port}"):
        ModelServer(ServerOptions(base_path, "tiny", port=port)).start()


def test_nothing_to_serve_is_an_error_and_opens_no_port(tmp_path: Path) -> None:
    server = ModelServer(ServerOptions(tmp_path, "tiny", port=0))
    with pytest.raises(ServableLoadError):
        server.start()
    assert server.address == ""


def test_message_limit(base_path: Path) -> None:
    with (
        serving(base_path, max_message_bytes=10_000) as server,
        PredictClient(server.address, "tiny", retry=NO_RETRY) as client,
    ):
        fits = np.ones((800, 3), np.float32)
        assert client.predict_tensors({"x": fits}, signature_name="matmul", output_filter=["shape"])
        with pytest.raises(RequestFailedError) as caught:
            client.predict_tensors({"x": np.ones((900, 3), np.float32)}, signature_name="matmul")
        assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        # The server goes on.
        assert client.predict_tensors({"x": fits}, signature_name="matmul", output_filter=["shape"])


def test_the_default_limit_is_above_grpcs(server: ModelServer) -> None:
    # gRPC's own is 4 MiB.
    with PredictClient(server.address, "tiny") as client:
        x = np.ones((500_000, 3), np.float32)
        outputs = client.predict_tensors({"x": x}, signature_name="matmul", output_filter=["shape"])
    assert outputs["shape"].tolist() == [500_000, 3]


def test_stopping_finishes_what_is_in_flight(base_path: Path) -> None:
    server = ModelServer(ServerOptions(base_path, "tiny", port=0))
    server.start()
    with PredictClient(server.address, "tiny", retry=NO_RETRY) as client, ThreadPoolExecutor(1) as pool:
        spin = pool.submit(client.predict_tensors, {"turns": np.array(300_000, np.int32)}, signature_name="spin")
        time.sleep(0.2)
        assert not spin.done(), "the request is too short for this test"
        server.stop(grace_seconds=30)
        assert spin.result(timeout=5)["x"].shape == ()
        with pytest.raises(RequestFailedError) as caught:
            client.predict([b""])
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE


def test_stopping_leaves_no_thread_that_polls(base_path: Path) -> None:
    with serving(base_path, file_system_poll_wait_seconds=0.05):
        assert any(thread.name == "poll tiny" for thread in threading.enumerate())
    assert not any(thread.name == "poll tiny" for thread in threading.enumerate())


def test_embedded_server(base_path: Path, rows: Rows) -> None:
    with embedded_server(base_path) as address, PredictClient(address) as client:
        assert address.startswith("127.0.0.1:")
        np.testing.assert_allclose(client.predict(rows.examples), rows.scores[1], atol=1e-6)
    with PredictClient(address, retry=NO_RETRY, timeout_s=5) as client:
        with pytest.raises(RequestFailedError):
            client.metadata()


class TestTls:
    @pytest.fixture
    def address(self, base_path: Path, certificates: Certificates) -> Iterator[str]:
        tls = ServerTls(certificates.server, certificates.server_key)
        with serving(base_path, tls=tls) as server:
            yield server.address

    @pytest.fixture
    def mutual_address(self, base_path: Path, certificates: Certificates) -> Iterator[str]:
        tls = ServerTls(certificates.server, certificates.server_key, client_ca=certificates.ca)
        with serving(base_path, tls=tls) as server:
            yield server.address

    @staticmethod
    def version(address: str, tls: ClientTls | None) -> int:
        with PredictClient(address, "tiny", tls=tls, retry=NO_RETRY, timeout_s=10) as client:
            return client.metadata().version

    def test_works_with_the_right_authority(self, address: str, certificates: Certificates) -> None:
        assert self.version(address, ClientTls(certificates.ca)) == 1

    def test_refuses_another_authority(self, address: str, certificates: Certificates) -> None:
        with pytest.raises(RequestFailedError) as caught:
            self.version(address, ClientTls(certificates.other_ca))
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE
        assert "CERTIFICATE_VERIFY_FAILED" in caught.value.message.upper()

    def test_refuses_plain_text(self, address: str) -> None:
        with pytest.raises(RequestFailedError) as caught:
            self.version(address, None)
        assert caught.value.code is grpc.StatusCode.UNAVAILABLE

    def test_mutual(self, mutual_address: str, certificates: Certificates) -> None:
        own = ClientTls(certificates.ca, certificates.client, certificates.client_key)
        assert self.version(mutual_address, own) == 1
        with pytest.raises(RequestFailedError):
            self.version(mutual_address, ClientTls(certificates.ca))

    def test_a_missing_file_is_named(self, base_path: Path, certificates: Certificates) -> None:
        tls = ServerTls(base_path / "no.crt", certificates.server_key)
        with pytest.raises(OSError, match=r"no\.crt"):
            ModelServer(ServerOptions(base_path, port=0, tls=tls)).start()
