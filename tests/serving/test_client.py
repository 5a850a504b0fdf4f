import asyncio
import json
import time
from collections.abc import Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pytest

from serving.client import AsyncPredictClient, PredictClient, RetryPolicy
from serving.columns import ColumnError
from serving.credentials import ClientTls, ServerTls
from serving.errors import RequestFailedError
from serving.examples import encode_examples
from serving.protos import (
    PredictionServiceServicer,
    PredictRequest,
    PredictResponse,
    add_PredictionServiceServicer_to_server,
)
from serving.server import ModelServer, ServerOptions
from serving.tensors import to_field_proto
from tests.serving.conftest import Certificates, Rows

QUICK = RetryPolicy(attempts=4, initial_backoff_s=0.02, max_backoff_s=0.05)


class Scripted(PredictionServiceServicer):
    """Answers each Predict with the next status of a list, then with scores."""

    def __init__(self, *codes: grpc.StatusCode, wait_s: float = 0.0, scores: int = 1) -> None:
        self.codes = list(codes)
        self.calls = 0
        self.wait_s = wait_s
        self.scores = scores

    def Predict(self, request: PredictRequest, context: grpc.ServicerContext) -> PredictResponse:
        self.calls += 1
        time.sleep(self.wait_s)
        if self.codes:
            context.abort(self.codes.pop(0), "as scripted")
        response = PredictResponse()
        response.outputs["probability"].CopyFrom(to_field_proto(np.full(self.scores, 0.5, np.float32)))
        return response


@contextmanager
def scripted(servicer: Scripted, port: int = 0) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(2), options=[("grpc.max_receive_message_length", -1)])
    add_PredictionServiceServicer_to_server(servicer, server)
    address = f"127.0.0.1:{server.add_insecure_port(f'127.0.0.1:{port}')}"
    server.start()
    try:
        yield address
    finally:
        server.stop(None).wait()


def client_of(address: str, retry: RetryPolicy = QUICK, timeout_s: float = 10) -> PredictClient:
    names = {"input_name": "examples", "output_name": "probability"}
    return PredictClient(address, retry=retry, timeout_s=timeout_s, **names)


def test_unavailable_is_repeated_until_it_is_answered() -> None:
    servicer = Scripted(*[grpc.StatusCode.UNAVAILABLE] * 3)
    with scripted(servicer) as address, client_of(address) as client:
        assert client.predict([b""]).tolist() == [0.5]
    assert servicer.calls == 4


def test_a_large_request_is_repeated_too() -> None:
    # gRPC stops to buffer, and so to retry, at 256 KiB unless told otherwise.
    servicer = Scripted(grpc.StatusCode.UNAVAILABLE)
    with scripted(servicer) as address, client_of(address) as client:
        assert client.predict([b"x" * 5_000_000]).tolist() == [0.5]
    assert servicer.calls == 2


def test_unavailable_is_not_repeated_for_ever() -> None:
    servicer = Scripted(*[grpc.StatusCode.UNAVAILABLE] * 9)
    with scripted(servicer) as address, client_of(address) as client:
        with pytest.raises(RequestFailedError) as caught:
            client.predict([b""])
        assert str(caught.value) == f"{address} answered UNAVAILABLE: as scripted"
    assert servicer.calls == 4


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    ],
)
def test_nothing_else_is_repeated(code: grpc.StatusCode) -> None:
    servicer = Scripted(code)
    with scripted(servicer) as address, client_of(address) as client:
        with pytest.raises(RequestFailedError) as caught:
            client.predict([b""])
    assert caught.value.code is code
    assert servicer.calls == 1


def test_a_deadline_covers_all_attempts() -> None:
    servicer = Scripted(*[grpc.StatusCode.UNAVAILABLE] * 9, wait_s=0.2)
    started = time.monotonic()
    with scripted(servicer) as address, client_of(address, timeout_s=0.3) as client:
        with pytest.raises(RequestFailedError) as caught:
            client.predict([b""])
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - started < 2


def test_a_server_that_starts_late_is_found() -> None:
    with scripted(Scripted()) as address:
        port = int(address.rpartition(":")[2])
    retry = RetryPolicy(attempts=5, initial_backoff_s=1, max_backoff_s=2)
    with client_of(address, retry) as client, futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(client.predict, [b""])
        time.sleep(0.2)
        with scripted(Scripted(), port):
            assert answer.result(timeout=15).tolist() == [0.5]


def test_no_server_names_the_address() -> None:
    with PredictClient("127.0.0.1:1", retry=RetryPolicy(attempts=1)) as client:
        with pytest.raises(RequestFailedError, match=r"127\.0\.0\.1:1 answered UNAVAILABLE") as caught:
            client.metadata()
    assert caught.value.address == "127.0.0.1:1"


def test_another_number_of_scores_is_an_error() -> None:
    with scripted(Scripted(scores=2)) as address, client_of(address) as client:
        with pytest.raises(ValueError, match=r"3 examples with an array of shape \(2,\)"):
            client.predict([b"", b"", b""])


def test_names_come_from_the_metadata(server: ModelServer, rows: Rows) -> None:
    with PredictClient(server.address, "tiny") as client:
        scores = client.predict(rows.examples)
    assert scores.dtype == np.float32 and scores.shape == (50,)
    np.testing.assert_allclose(scores, rows.scores[1], atol=1e-6)
    with PredictClient(server.address, "tiny", signature_name="strict") as client:
        with pytest.raises(RequestFailedError, match="fare"):
            client.predict([b""])


def test_names_that_cannot_be_taken_are_asked_for(server: ModelServer) -> None:
    with PredictClient(server.address, "tiny", signature_name="nope") as client:
        with pytest.raises(ValueError, match="no signature 'nope'; it has: add, complain, matmul"):
            client.predict([b""])
    with PredictClient(server.address, "tiny", signature_name="add") as client:
        with pytest.raises(ValueError, match="no input 'examples' but: a, b"):
            client.predict([b""])
    with PredictClient(server.address, "tiny", signature_name="matmul") as client:
        with pytest.raises(ValueError, match="no output 'probability' but: shape, y, z"):
            client.predict([b""])


def test_predict_tensors(server: ModelServer, rows: Rows) -> None:
    with PredictClient(server.address, "tiny") as client:
        outputs = client.predict_tensors(rows.raw)
        lists = client.predict_tensors(rows.raw | {"tab": list(rows.raw["tab"]), "item": rows.raw["item"].tolist()})
    np.testing.assert_allclose(outputs["probability"], rows.scores[1], atol=1e-6)
    np.testing.assert_array_equal(outputs["probability"], lists["probability"])


def test_a_version_can_be_asked_for(server: ModelServer) -> None:
    with PredictClient(server.address, "tiny", version=1) as client:
        assert client.metadata().version == 1
    with PredictClient(server.address, "tiny", version=4) as client:
        with pytest.raises(RequestFailedError) as caught:
            client.metadata()
    assert caught.value.message == "Servable not found for request: Specific(tiny, 4)"


def test_no_rows(server: ModelServer) -> None:
    with PredictClient(server.address, "tiny") as client:
        assert client.predict([]).shape == (0,)


@pytest.mark.parametrize("proxy", ["http_proxy", "https_proxy", "grpc_proxy"])
def test_this_machine_is_reached_without_the_proxy(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv(proxy, "http://127.0.0.1:1")
    with PredictClient(server.address, "tiny", retry=RetryPolicy(attempts=1)) as client:
        assert client.metadata().version == 1


def test_score_takes_dicts_arrow_and_pandas(server: ModelServer, rows: Rows) -> None:
    columns = {name: [v.decode() if isinstance(v, bytes) else v.item() for v in rows.raw[name]] for name in rows.raw}
    table = pa.table(columns)
    with PredictClient(server.address, "tiny") as client:
        for given in (table, table.to_batches()[0], table.to_pandas(), table.to_pylist()):
            np.testing.assert_allclose(client.score(given), rows.scores[1], atol=1e-6)
        # What is not there is missing, as in a tf.Example.
        assert client.score([{"user": "a"}]).tolist() == client.predict(encode_examples(table_of_user())).tolist()
        with pytest.raises(ColumnError, match=r"no feature usr \(nearest: user\)"):
            client.score([{"usr": "a"}])


def table_of_user() -> pa.Table:
    return pa.table({"user": ["a"]})


def test_a_version_label_and_a_version_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="a version or a label"):
        PredictClient("127.0.0.1:1", version=1, version_label="stable")


class TestAsync:
    """The client for asyncio keeps the promises of the other one."""

    def client(self, address: str, retry: RetryPolicy = QUICK, timeout_s: float = 10) -> AsyncPredictClient:
        names = {"input_name": "examples", "output_name": "probability"}
        return AsyncPredictClient(address, retry=retry, timeout_s=timeout_s, **names)

    async def predict(self, address: str, **options: object) -> list[float]:
        async with self.client(address, **options) as client:
            return (await client.predict([b""])).tolist()

    def test_many_at_once_on_one_connection(self, server: ModelServer, rows: Rows) -> None:
        async def ask() -> list[np.ndarray]:
            async with AsyncPredictClient(server.address, "tiny") as client:
                return await asyncio.gather(*(client.predict(rows.examples[i : i + 5]) for i in range(0, 50, 5)))

        np.testing.assert_allclose(np.concatenate(asyncio.run(ask())), rows.scores[1], atol=1e-6)

    def test_tensors_metadata_and_rows(self, server: ModelServer, rows: Rows) -> None:
        async def ask() -> tuple[int, np.ndarray, np.ndarray]:
            async with AsyncPredictClient(server.address, "tiny") as client:
                raw = await client.predict_tensors(rows.raw)
                return (await client.metadata()).version, raw["probability"], await client.score([{"user": "a"}])

        version, scores, one = asyncio.run(ask())
        assert version == 1 and one.shape == (1,)
        np.testing.assert_allclose(scores, rows.scores[1], atol=1e-6)

    def test_unavailable_is_repeated(self) -> None:
        servicer = Scripted(*[grpc.StatusCode.UNAVAILABLE] * 3)
        with scripted(servicer) as address:
            assert asyncio.run(self.predict(address)) == [0.5]
        assert servicer.calls == 4

    @pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED])
    def test_nothing_else_is_repeated(self, code: grpc.StatusCode) -> None:
        servicer = Scripted(code)
        with scripted(servicer) as address, pytest.raises(RequestFailedError) as caught:
            asyncio.run(self.predict(address))
        assert caught.value.code is code and servicer.calls == 1
        assert str(caught.value) == f"{address} answered {code.name}: as scripted"

    def test_a_deadline_covers_all_attempts(self) -> None:
        servicer = Scripted(*[grpc.StatusCode.UNAVAILABLE] * 9, wait_s=0.2)
        with scripted(servicer) as address, pytest.raises(RequestFailedError) as caught:
            asyncio.run(self.predict(address, timeout_s=0.3))
        assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED

    def test_mutual_tls(self, base_path: Path, certificates: Certificates) -> None:
        async def ask(tls: ClientTls) -> int:
            retry = RetryPolicy(attempts=1)
            async with AsyncPredictClient(server.address, tls=tls, retry=retry, timeout_s=5) as client:
                return (await client.metadata()).version

        tls = ServerTls(certificates.server, certificates.server_key, certificates.ca)
        with ModelServer(ServerOptions(base_path, port=0, tls=tls)) as server:
            assert asyncio.run(ask(ClientTls(certificates.ca, certificates.client, certificates.client_key))) == 1
            for wrong in (
                ClientTls(certificates.ca),
                ClientTls(certificates.other_ca, certificates.client, certificates.client_key),
            ):
                with pytest.raises(RequestFailedError, match="UNAVAILABLE"):
                    asyncio.run(ask(wrong))


def test_waits_between_attempts_grow() -> None:
    """At random up to the limit: four waits of at most 0.1, 0.2, 0.4 and 0.4 s."""
    policy = RetryPolicy(attempts=5, initial_backoff_s=0.1, max_backoff_s=0.4)
    times = []
    for _ in range(3):
        with scripted(Scripted(*[grpc.StatusCode.UNAVAILABLE] * 4)) as address, client_of(address, policy) as client:
            started = time.monotonic()
            client.predict([b""])
            times.append(time.monotonic() - started)
    assert 0.05 < sum(times) / 3
    config = json.loads(policy.service_config())["methodConfig"][0]["retryPolicy"]
    assert (config["backoffMultiplier"], config["initialBackoff"], config["maxBackoff"]) == (2, "0.1s", "0.4s")
    assert config["retryableStatusCodes"] == ["UNAVAILABLE"]
