import datetime
import ipaddress
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from serving.protos import PredictionServiceStub
from serving.server import ModelServer, ServerOptions
from tests.serving import classic_model
from tests.serving.tiny_model import RAW_FEATURES, TABS, export


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two version directories that give different scores; read-only, to copy from."""
    base_path = tmp_path_factory.mktemp("exports") / "tiny"
    return {version: export(base_path, version, scale) for version, scale in ((1, 1.0), (2, -0.7))}


@pytest.fixture
def base_path(exports: dict[int, Path], tmp_path: Path) -> Path:
    """A base path of one's own that holds version 1."""
    path = tmp_path / "served"
    shutil.copytree(exports[1], path / "1")
    return path


@pytest.fixture(scope="session")
def server(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """One server of version 1, for tests that only ask."""
    path = tmp_path_factory.mktemp("shared") / "served"
    shutil.copytree(exports[1], path / "1")
    with ModelServer(ServerOptions(path, "tiny", port=0, file_system_poll_wait_seconds=0)) as running:
        yield running


@pytest.fixture(scope="session")
def stub(server: ModelServer) -> Iterator[PredictionServiceStub]:
    with grpc.insecure_channel(server.address) as channel:
        yield PredictionServiceStub(channel)


@dataclass(frozen=True)
class Rows:
    """Rows as raw tensors, as tf.Examples and as scores by an ordinary session."""

    raw: dict[str, np.ndarray]
    examples: list[bytes]
    scores: dict[int, np.ndarray]


def _example(row: dict[str, object]) -> bytes:
    lists = {
        "user": lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])),
        "item": lambda v: tf.train.Feature(int64_list=tf.train.Int64List(value=[v])),
        "price": lambda v: tf.train.Feature(float_list=tf.train.FloatList(value=[v])),
        "tab": lambda v: tf.train.Feature(bytes_list=tf.train.BytesList(value=[v])),
    }
    features = {name: lists[name](value) for name, value in row.items()}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


@pytest.fixture(scope="session")
def rows(exports: dict[int, Path]) -> Rows:
    random = np.random.default_rng(7)
    size = 50
    raw = {
        "user": np.array([b"" if i % 5 == 0 else b"u%d" % i for i in range(size)], np.object_),
        "item": random.integers(0, 1000, size),
        "price": random.normal(0, 3, size).astype(np.float32),
        "tab": np.array([(*TABS, "elsewhere")[i % 4].encode() for i in range(size)], np.object_),
    }
    examples = [_example({name: raw[name][i] for name in RAW_FEATURES}) for i in range(size)]
    scores = {}
    for version, directory in exports.items():
        # The plain way to run a SavedModel in a session, nothing of ours in it.
        with tf.compat.v1.Session(graph=tf.Graph()) as session:
            signature = tf.compat.v1.saved_model.load(session, ["serve"], str(directory)).signature_def["serving_raw"]
            scores[version] = session.run(
                signature.outputs["probability"].name,
                {signature.inputs[name].name: raw[name] for name in RAW_FEATURES},
            )
    assert np.abs(scores[1] - scores[2]).max() > 0.1
    return Rows(raw, examples, scores)


@dataclass(frozen=True)
class Certificates:
    ca: Path
    other_ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("certificates")
    now = datetime.datetime.now(datetime.timezone.utc)

    def write(name: str, content: bytes) -> Path:
        path = directory / name
        path.write_bytes(content)
        return path

    def signed(name: str, issuer: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None):
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer_name, issuer_key = issuer or (subject, key)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(issuer_key, hashes.SHA256())
        )
        pem = write(f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))
        key_pem = write(
            f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )
        return pem, key_pem, (subject, key)

    ca, _, authority = signed("ca", None)
    other_ca, _, _ = signed("other", None)
    server, server_key, _ = signed("server", authority)
    client, client_key, _ = signed("client", authority)
    return Certificates(ca, other_ca, server, server_key, client, client_key)


@pytest.fixture
def push(exports: dict[int, Path]) -> Callable[[Path, int, int], Path]:
    """Puts export ``source`` under a base path as ``version``, whole, as a pusher does: by a rename."""

    def put(base_path: Path, source: int, version: int) -> Path:
        temporary = base_path / f"{version}.incoming"
        shutil.copytree(exports[source], temporary)
        return temporary.rename(base_path / str(version))

    return put


@pytest.fixture(scope="session")
def classic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelServer]:
    """A server of the classic model's version 1, over gRPC and REST, with metrics and health."""
    path = tmp_path_factory.mktemp("classic") / "served"
    classic_model.export(path / "1")
    options = ServerOptions(
        path,
        "classic",
        port=0,
        rest_port=0,
        rest_timeout_s=20.0,
        metrics_path="/monitoring/prometheus/metrics",
        health=True,
        file_system_poll_wait_seconds=0,
    )
    with ModelServer(options) as running:
        yield running


@pytest.fixture(scope="session")
def classic_stub(classic: ModelServer) -> Iterator[PredictionServiceStub]:
    with grpc.insecure_channel(classic.address) as channel:
        yield PredictionServiceStub(channel)
