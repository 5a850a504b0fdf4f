"""Imports that Python's garbage collector does not look at.

TFX with TensorFlow and Beam is a million objects, of which none is ever garbage. The collector goes through them again
and again while they are made; and so does, ever after, whoever asks it for an object's referrers, which Arrow does each
time that it opens a CSV file (its workaround of bpo-42248).
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def lasting_imports() -> Iterator[None]:
    """What is made in its block, or was made before, is left alone by the collector from then on."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if collects:
            gc.enable()
