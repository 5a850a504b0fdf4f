"""Reading and working at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import Any


def read_ahead(items: Iterator[Any], most: int = 4) -> Generator[Any, None, None]:
    """The items, made by a thread of their own while the caller works on earlier ones.

    Args:
      items: Where they come from; what it raises is raised here.
      most: Items that may wait.
    """
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(most)
    stopped = threading.Event()

    def put(kind: str, value: Any) -> bool:
        while not stopped.is_set():
            try:
                waiting.put((kind, value), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put("item", item):
                    return
            put("end", None)
        except BaseException as error:
            put("error", error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while True:
            kind, value = waiting.get()
            if kind == "end":
                return
            if kind == "error":
                raise value
            yield value
    finally:
        stopped.set()
        thread.join()
