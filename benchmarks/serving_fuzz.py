"""Malformed and random requests over gRPC and REST: the server lives, its memory stays, its answers are proper."""

from __future__ import annotations

import http.client
import json
import random
from collections import Counter
from pathlib import Path

import grpc
import numpy as np

from benchmarks.serving_figures import Figure, predict_request
from benchmarks.serving_subject import MODEL_NAME, Server, Subject, served
from serving.client import PredictClient

_METHODS = (
    "PredictionService/Predict", "PredictionService/Classify", "PredictionService/Regress",
    "PredictionService/MultiInference", "PredictionService/GetModelMetadata", "ModelService/GetModelStatus",
    "ModelService/HandleReloadConfigRequest", "PredictionService/Nothing",
)  # fmt: skip
# What a client's mistake may be answered with. UNKNOWN, UNAVAILABLE and DEADLINE_EXCEEDED would be the server's own.
_PROPER = {
    "OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "OUT_OF_RANGE", "UNIMPLEMENTED", "RESOURCE_EXHAUSTED",
    "INTERNAL",
}  # fmt: skip
_PROPER_HTTP = {200, 400, 404, 405, 411, 413, 414, 431, 501}
_PATHS = (
    f"/v1/models/{MODEL_NAME}:predict", f"/v1/models/{MODEL_NAME}:classify", f"/v1/models/{MODEL_NAME}:regress",
    f"/v1/models/{MODEL_NAME}", f"/v1/models/{MODEL_NAME}/metadata", f"/v1/models/{MODEL_NAME}/versions/9:predict",
    f"/v1/models/{MODEL_NAME}/labels/x:predict", "/v1/models", "/v1/models/other:predict", "/", "/v1/%ff%00",
)  # fmt: skip
_ALLOWED_GROWTH = 0.05, 48.0


def _mutated(content: bytes, chance: random.Random) -> bytes:
    """Random bytes, or a proper request cut short, doubled, or with some bytes of it changed."""
    kind = chance.randrange(5)
    if kind == 0:
        return chance.randbytes(chance.randrange(200))
    if kind == 1:
        return content[: chance.randrange(len(content) + 1)]
    if kind == 2:
        return content + content[: chance.randrange(len(content) + 1)]
    changed = bytearray(content)
    for _ in range(chance.randrange(1, 8)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _ask_grpc(server: Server, requests: list[bytes], count: int, chance: random.Random, codes: Counter[str]) -> None:
    with grpc.insecure_channel(server.address) as channel:
        calls = [channel.unary_unary(f"/tensorflow.serving.{method}", None, None) for method in _METHODS]
        under_way = []
        for _ in range(count):
            under_way.append(chance.choice(calls).future(_mutated(chance.choice(requests), chance), timeout=60))
            if len(under_way) == 32:
                for call in under_way:
                    codes[call.code().name] += 1
                under_way.clear()
        for call in under_way:
            codes[call.code().name] += 1


def _ask_rest(server: Server, bodies: list[bytes], count: int, chance: random.Random, codes: Counter[str]) -> None:
    connection = http.client.HTTPConnection(server.rest_address, timeout=60)
    for _ in range(count):
        method = chance.choice(("POST", "POST", "POST", "GET", "PUT", "DELETE"))
        body = _mutated(chance.choice(bodies), chance)
        try:
            connection.request(method, chance.choice(_PATHS), body)
            response = connection.getresponse()
            content = response.read()
        except (http.client.HTTPException, OSError) as error:
            codes[type(error).__name__] += 1
            connection.close()
            continue
        proper = response.status in _PROPER_HTTP
        if proper and response.getheader("Content-Type", "").startswith("application/json"):
            json.loads(content)
        codes[str(response.status) if proper else f"improper {response.status}"] += 1


def malformed(subject: Subject, scale: float, folder: Path) -> Figure:
    """As many as 100,000 wrong requests, half over gRPC and half over REST, then a right one."""
    total = max(200, round(100_000 * scale))
    chance = random.Random(0)
    examples = subject.some(3)
    requests = [predict_request(examples[:size]).SerializeToString() for size in (1, 2, 3)]
    names = json.dumps({"instances": [{"examples": {"b64": "AAAA"}}], "signature_name": "serving_default"}).encode()
    bodies = [
        names,
        b'{"inputs": {"examples": ["x", "y"]}}',
        b'{"examples": [{"user": "a"}]}',
        b'{"instances": [[1, 2.5, NaN]]}',
    ]
    grpc_codes: Counter[str] = Counter()
    rest_codes: Counter[str] = Counter()
    with (
        served(subject.directory.parent, folder / "server.log", "--rest_api_port=-1") as server,
        PredictClient(server.address, MODEL_NAME) as client,
    ):
        expected = client.predict(examples)
        # The first tenth fills caches and pools that stay.
        for share, part in ((0.1, "first"), (0.9, "rest")):
            _ask_grpc(server, requests, round(total / 2 * share), chance, grpc_codes)
            _ask_rest(server, bodies, round(total / 2 * share), chance, rest_codes)
            if part == "first":
                before = server.resident_mib()
        after = server.resident_mib()
        alive = server.process.poll() is None and np.array_equal(client.predict(examples), expected)
    improper = sum(count for code, count in grpc_codes.items() if code not in _PROPER)
    improper += sum(count for code, count in rest_codes.items() if not code.isdigit())
    flat = after - before <= max(_ALLOWED_GROWTH[0] * before, _ALLOWED_GROWTH[1])
    return Figure(
        "malformed",
        f"{total:,} malformed or random requests",
        f"{0 if alive else 1} crashes, {improper} improper answers, {after - before:+.0f} MiB",
        f"{before:.0f} MiB after the first tenth",
        f"0, 0, at most {max(_ALLOWED_GROWTH[0] * before, _ALLOWED_GROWTH[1]):.0f} MiB",
        alive and improper == 0 and flat,
        {"grpc": dict(grpc_codes), "rest": dict(rest_codes), "mib_before": before, "mib_after": after},
        (f"gRPC {dict(grpc_codes)}; REST {dict(rest_codes)}",),
    )
