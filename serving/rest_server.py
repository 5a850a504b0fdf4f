"""The HTTP server of the REST API and the metrics: an event loop in a thread of its own, requests in a pool."""

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from serving.json_responses import error_object
from serving.metrics import CONTENT_TYPE, METRICS
from serving.rest_api import RestApi

_CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
_COMPRESS_FROM = 8 * 2**10


@dataclass(frozen=True)
class RestOptions:
    """The HTTP server's settings.

    Attributes:
        host: Address to bind to.
        port: Port; 0 for a free one.
        threads: Requests that are worked on at once; more wait.
        cors: Whether pages of other origins may ask.
        max_body_bytes: Longest request.
        max_requests: Requests that are open at once; more are refused (429).
        metrics_path: Path of the Prometheus metrics; None for none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    threads: int = 16
    cors: bool = False
    max_body_bytes: int = 64 * 2**20
    max_requests: int = 4096
    metrics_path: str | None = None


class RestServer:
    """Serves until it is stopped.

    Args:
        api: Answers the requests.
        options: Where, and with which limits.
    """

    def __init__(self, api: RestApi, options: RestOptions) -> None:
        self._api = api
        self._options = options
        self._pool = ThreadPoolExecutor(options.threads, thread_name_prefix="httprestserver")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rest", daemon=True)
        self._runner: web.AppRunner | None = None
        self._open = 0
        self.address = ""

    def start(self) -> str:
        """Opens the port and returns the address, HOST:PORT; raises OSError where it cannot be bound to."""
        options = self._options
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((options.host, options.port))
        except OSError as error:
            listener.close()
            raise OSError(f"cannot listen at {options.host}:{options.port}: {error}") from error
        port = listener.getsockname()[1]
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._serve(listener), self._loop).result()
        host = f"[{options.host}]" if ":" in options.host else options.host
        self.address = f"{host}:{port}"
        return self.address

    def stop(self, grace_seconds: float) -> None:
        """Takes no new request, finishes those in flight within the grace, and closes the port."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._shut_down(grace_seconds), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, listener: socket.socket) -> None:
        app = web.Application(client_max_size=self._options.max_body_bytes)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.SockSite(self._runner, listener).start()

    async def _shut_down(self, grace_seconds: float) -> None:
        assert self._runner is not None
        for site in list(self._runner.sites):
            await site.stop()
        deadline = self._loop.time() + grace_seconds
        while self._open and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        if self._open >= self._options.max_requests:
            return _json(429, error_object("Concurrent requests limit exceeded!"))
        self._open += 1
        try:
            return await self._respond(request)
        finally:
            self._open -= 1

    async def _respond(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        if path == self._options.metrics_path:
            page = await self._in_pool(METRICS.page)
            return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE})
        if not path.lower().startswith("/v1/"):
            return web.Response(status=404, text="<h1>Not Found</h1>", content_type="text/html")
        headers = _CORS if self._options.cors else {}
        if request.method == "OPTIONS" and self._options.cors:
            return _json(200, "", headers)
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            limit = self._options.max_body_bytes
            return _json(413, error_object(f"The request is longer than {limit} bytes"), headers)
        except (web.HTTPException, ValueError) as error:  # a body that is not encoded as its header says
            return _json(400, error_object(f"Malformed request body: {error}"), headers)
        answer = await self._in_pool(lambda: self._api.answer(request.method, path, body))
        response = _json(answer.status, answer.body, headers)
        if len(answer.body) >= _COMPRESS_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response

    async def _in_pool(self, call: Callable[[], Any]) -> Any:
        return await self._loop.run_in_executor(self._pool, call)


def _json(status: int, body: str, headers: dict[str, str] | None = None) -> web.Response:
    # By the header, not by aiohttp's own argument, which would add a charset.
    all_headers = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(status=status, body=body.encode("utf-8", "replace"), headers=all_headers)
