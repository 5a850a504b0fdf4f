"""Hot swaps under load: a figure of serving that is no speed."""

from __future__ import annotations

import shutil
import threading
import time
from collections import Counter
from pathlib import Path

import grpc
import numpy as np

from benchmarks.serving_figures import Figure, predict_request
from benchmarks.serving_subject import MODEL_NAME, Subject, served
from benchmarks.serving_variant import write_variant
from serving.local_model import LocalModel
from serving.protos import PredictionServiceStub
from serving.tensors import to_ndarray


def swaps(subject: Subject, scale: float, folder: Path) -> Figure:
    """A new version again and again, while four clients ask: requests that fail, or get another version's scores."""
    wanted = max(5, round(100 * scale))
    base = folder / MODEL_NAME
    variant = write_variant(subject.directory, folder / "variant")
    sources = [subject.directory, variant]
    examples = subject.some(20)
    expected = []
    for source in sources:
        with LocalModel(source) as model:
            expected.append(model.predict(examples))
    if np.abs(expected[0] - expected[1]).max() < 1e-3:
        raise RuntimeError("the two versions give the same scores: a wrong answer would go unnoticed")
    shutil.copytree(sources[1], base / "1")
    request = predict_request(examples)
    stop, lock = threading.Event(), threading.Lock()
    counts = {"answered": 0, "failed": 0, "wrong": 0}
    reasons: Counter[str] = Counter()
    newest = 1
    with served(base, folder / "server.log", "--file_system_poll_wait_seconds=0.1") as server:

        def ask() -> None:
            nonlocal newest
            with grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
                stub = PredictionServiceStub(channel)
                while not stop.is_set():
                    try:
                        response = stub.Predict(request, timeout=30)
                    except grpc.RpcError as error:
                        with lock:
                            counts["failed"] += 1
                            reasons[f"version {newest}: {error.code().name}: {error.details()}"] += 1
                        continue
                    version = response.model_spec.version.value
                    scores = to_ndarray(response.outputs["probability"])
                    right = np.allclose(scores, expected[version % 2], atol=1e-5)
                    with lock:
                        counts["answered"] += 1
                        counts["wrong"] += not right
                        newest = max(newest, version)

        clients = [threading.Thread(target=ask, daemon=True) for _ in range(4)]
        for client in clients:
            client.start()
        for version in range(2, wanted + 2):
            incoming = base / f".{version}.incoming"
            shutil.copytree(sources[version % 2], incoming)
            incoming.rename(base / str(version))
            deadline = time.monotonic() + 120
            while newest < version:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"version {version} was not served within two minutes")
                time.sleep(0.01)
            shutil.rmtree(base / str(version - 1))
        stop.set()
        for client in clients:
            client.join()
    return Figure(
        "swaps",
        f"{wanted} version swaps under load: failed or wrong requests",
        f"{counts['failed']} failed, {counts['wrong']} wrong",
        f"{counts['answered']:,} right answers (each version alone)",
        "0",
        counts["failed"] == 0 and counts["wrong"] == 0,
        {**counts, "swaps": newest - 1, "reasons": dict(reasons)},
        tuple(f"{number} x {reason}" for reason, number in reasons.items()),
    )
