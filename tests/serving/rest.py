"""Asking a server over REST, with nothing but the standard library."""

import http.client
import json
from typing import Any


def ask(address: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None):
    """Returns the HTTP status, the headers and the body's text. A body that is not bytes or text is sent as JSON."""
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    try:
        content = (
            body
            if isinstance(body, (bytes, type(None)))
            else (body if isinstance(body, str) else json.dumps(body)).encode()
        )
        connection.request(method, path, content, headers or {})
        response = connection.getresponse()
        return response.status, dict(response.getheaders()), response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def post(address: str, path: str, body: Any) -> tuple[int, Any]:
    """Returns the HTTP status and the parsed JSON."""
    status, headers, text = ask(address, "POST", path, body)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(text)


def get(address: str, path: str) -> tuple[int, Any]:
    """Returns the HTTP status and the parsed JSON."""
    status, headers, text = ask(address, "GET", path)
    assert headers["Content-Type"] == "application/json"
    return status, json.loads(text)
