"""The precision of dense products in training: float32, or bfloat16 where the processor or the GPU has units for it."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from models.config import Precision

# Linux' names of the units: AVX-512's and AMX's of x86, and Arm's.
_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}
# A graph is traced in one thread, a replica's in its own.
_TRACED = threading.local()


@contextmanager
def dense_precision(precision: Precision) -> Iterator[None]:
    """Inside, `dense_product` is traced with the given precision."""
    before = getattr(_TRACED, "precision", "float32")
    _TRACED.precision = precision
    try:
        yield
    finally:
        _TRACED.precision = before


def dense_product(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """The matrix product of a layer's input with its kernel.

    In bfloat16 both are rounded to 8 bits of precision, products are added up in float32, and the sums are rounded; so
    it is with gradients. What comes in and goes out, the kernel, its optimizer and everything between two products stay
    float32: a number is rounded where that saves time, and nowhere else.

    Args:
      x: Float32 [..., N, inputs].
      kernel: Float32 [..., inputs, outputs].

    Returns:
      Float32 [..., N, outputs].
    """
    if getattr(_TRACED, "precision", "float32") == "float32":
        return tf.matmul(x, kernel)
    return tf.cast(tf.matmul(tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16)), tf.float32)


def lacks_bfloat16() -> bool:
    """Whether this machine is known to compute bfloat16 products by way of float32, which is slower than float32."""
    if tf.config.list_physical_devices("GPU"):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not cpuinfo.exists():
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return not _UNITS & set(flags.partition(":")[2].split())
