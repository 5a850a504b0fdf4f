"""Clients of one request at a time each, in a process of their own, which spend next to nothing on a request.

usage: python -m benchmarks.serving_load ADDRESS CLIENTS SECONDS REQUESTS_FILE   (TFRecords of PredictRequest)

gRPC's Python client takes about as much of a CPU for a request as the server does, and on one machine with the server
it is measured with it. So the clients speak HTTP/2 themselves, as gRPC's specification has it: one connection and one
request under way each, all in one thread.

Prints one JSON object: requests answered ("OK": a message and an end of the stream) and not, seconds, and the share of
a CPU that the process itself took. A share near 1 would mean that the clients were the bottleneck, and not the server.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time
from collections import Counter
from pathlib import Path

from data.tfrecords import read_records

PREDICT = "/tensorflow.serving.PredictionService/Predict"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# RFC 9113: the frames' types and flags that a unary call meets.
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_LONGEST_FRAME = 16384
_WINDOW = 65535


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _headers(authority: str) -> bytes:
    """A request's header block: literals that no table remembers, the same for every request (RFC 7541)."""
    fields = {
        ":method": "POST", ":scheme": "http", ":path": PREDICT, ":authority": authority,
        "content-type": "application/grpc", "te": "trailers",
    }  # fmt: skip
    # A length of 127 and more would not fit into the one byte.
    assert all(len(word) < 127 for item in fields.items() for word in item)
    return b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields.items()
    )


class Connection:
    """One client: asks, waits for the answer, asks again.

    Args:
        address: The server's, HOST:PORT.
        requests: Serialized requests, asked one after another.
        first: Which of them is the first.
    """

    def __init__(self, address: str, requests: list[bytes], first: int) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.codes: Counter[str] = Counter()
        self._headers = _headers(address)
        self._requests = [struct.pack(">BI", 0, len(request)) + request for request in requests]
        self._next = first
        self._stream = 1
        self._received = bytearray()
        self._answered = False
        # What the server takes before it says that it takes more: of this connection, and of the stream.
        self._window = self._initial = _WINDOW
        settings = struct.pack(">HI", 4, 2**31 - 1)
        update = struct.pack(">I", 2**31 - 1 - _WINDOW)
        self.socket.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, update))

    def ask(self) -> None:
        """Sends the next request."""
        message = self._requests[self._next % len(self._requests)]
        self._next += 1
        if len(message) > min(_LONGEST_FRAME, self._initial):
            raise ValueError(f"a request of {len(message)} bytes does not fit into one frame")
        while len(message) > self._window:
            self._receive()
        self._window -= len(message)
        self._answered = False
        self.socket.sendall(
            _frame(_HEADERS, _END_HEADERS, self._stream, self._headers)
            + _frame(_DATA, _END_STREAM, self._stream, message)
        )

    def read(self) -> bool:
        """Reads what has come; returns whether the request under way is done."""
        ended = self._receive()
        if ended:
            self.codes["OK" if self._answered else "failed"] += 1
            self._stream += 2
        return ended

    def _receive(self) -> bool:
        content = self.socket.recv(65536)
        if not content:
            raise ConnectionError("the server closed the connection")
        received = self._received
        received += content
        ended, at = False, 0
        while len(received) - at >= 9:
            size = int.from_bytes(received[at : at + 3], "big")
            if len(received) - at < 9 + size:
                break
            kind, flags, stream = received[at + 3], received[at + 4], int.from_bytes(received[at + 5 : at + 9], "big")
            payload = bytes(received[at + 9 : at + 9 + size])
            at += 9 + size
            ended |= self._handle(kind, flags, stream, payload)
        del received[:at]
        return ended

    def _handle(self, kind: int, flags: int, stream: int, payload: bytes) -> bool:
        """Takes one frame; returns whether it ends the request under way."""
        if kind == _DATA:
            # gRPC's prefix alone is five bytes long; an error has no message at all.
            self._answered |= len(payload) > 5
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")
        elif kind == _PING and not flags & _ACK:
            self.socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from(">HI", payload, at)
                if name == 4:
                    self._initial = value
            self.socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _GOAWAY:
            raise ConnectionError(f"the server ends the connection: {payload[8:].decode(errors='replace')}")
        return stream == self._stream and (
            kind == _RST_STREAM or (kind in (_DATA, _HEADERS) and bool(flags & _END_STREAM))
        )


def _run(address: str, clients: int, seconds: float, requests: list[bytes]) -> dict[str, object]:
    step = max(1, len(requests) // clients)
    connections = [Connection(address, requests, index * step) for index in range(clients)]
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        started, cpu = time.perf_counter(), time.process_time()
        for connection in connections:
            connection.ask()
        under_way = clients
        while under_way:
            ready = selector.select(60)
            if not ready:
                raise TimeoutError("no answer within a minute")
            going_on = time.perf_counter() < started + seconds
            for key, _ in ready:
                if key.data.read():
                    under_way -= 1
                    if going_on:
                        key.data.ask()
                        under_way += 1
        took = time.perf_counter() - started
    codes = sum((connection.codes for connection in connections), Counter())
    return {"codes": dict(codes), "seconds": took, "cpu_share": (time.process_time() - cpu) / took}


if __name__ == "__main__":
    print(json.dumps(_run(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), list(read_records(Path(sys.argv[4]))))))
