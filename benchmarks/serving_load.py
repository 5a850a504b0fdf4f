"""The load generator: clients in a process of their own, which spend next to nothing on a request.

usage: python -m benchmarks.serving_load ADDRESS CLIENTS SECONDS REQUESTS_FILE   (TFRecords of PredictRequest)

Prints one JSON object: requests answered, seconds, failures by code, and the share of a CPU that the process itself
took. A share near 1 would mean that the clients were the bottleneck, and not the server.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path

import grpc.aio

from data.tfrecords import read_records

PREDICT = "/tensorflow.serving.PredictionService/Predict"


async def _client(address: str, requests: list[bytes], first: int, until: float, codes: Counter[str]) -> None:
    # Bytes in, bytes out: encoding and decoding are not what is measured.
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        predict = channel.unary_unary(PREDICT, None, None)
        at = first
        while time.perf_counter() < until:
            try:
                await predict(requests[at % len(requests)], timeout=60)
                codes["OK"] += 1
            except grpc.aio.AioRpcError as error:
                codes[error.code().name] += 1
            at += 1


async def _run(address: str, clients: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    codes: Counter[str] = Counter()
    started, cpu = time.perf_counter(), time.process_time()
    step = max(1, len(requests) // clients)
    await asyncio.gather(
        *(_client(address, requests, index * step, started + seconds, codes) for index in range(clients))
    )
    took = time.perf_counter() - started
    return {"codes": dict(codes), "seconds": took, "cpu_share": (time.process_time() - cpu) / took}


if __name__ == "__main__":
    found = asyncio.run(_run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), list(read_records(Path(sys.argv[4])))))
    print(json.dumps(found))
