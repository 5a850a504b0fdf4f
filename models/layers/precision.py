"""The precision of dense products in training: float32, or bfloat16 where the processor or the GPU has units for it."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import tensorflow as tf

from models.training_config import Precision

# Linux' names of the units: AVX-512's and AMX's of x86, and Arm's.
_UNITS = {"avx512_bf16", "amx_bf16", "bf16"}
# A graph is traced in one thread, a replica's in its own.
_TRACED = threading.local()


# Rows of a block (`in_blocks`): two tiles of AMX.
_BLOCK = 32


@contextmanager
def dense_precision(precision: Precision) -> Iterator[None]:
    """Inside, a training step is traced whose dense layers have the given precision."""
    before = _traced()
    _TRACED.precision = precision
    try:
        yield
    finally:
        _TRACED.precision = before


def rounded(x: tf.Tensor) -> tf.Tensor:
    """Numbers as a dense layer takes them: bfloat16 where that is the precision, otherwise as they are."""
    return tf.cast(x, tf.bfloat16) if _traced() == "bfloat16" else tf.convert_to_tensor(x)


def dense_layer(x: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor, relu: bool = True) -> tf.Tensor:
    """relu(x W + b), or x W + b.

    In bfloat16 input, kernel and bias are rounded to 8 bits of precision, products are added up in float32, and sums
    are rounded; so it is with gradients. The result stays bfloat16, for the next layer: whoever needs float32 casts it.

    Args:
      x: [..., N, inputs], float32 or what another dense layer gave.
      kernel: [..., inputs, outputs], float32 or `rounded`.
      bias: [outputs] or [..., 1, outputs], likewise.
      relu: Whether a ReLU follows.

    Returns:
      [..., N, outputs], float32 or bfloat16.
    """
    x, kernel, bias = rounded(x), rounded(kernel), rounded(bias)
    if x.shape.rank == 3 and x.shape[0] == kernel.shape[0] == 1:
        # A product of two matrices is faster than a batch of one.
        x, kernel, bias = (tf.squeeze(part, axis=0) for part in (x, kernel, bias))
        return tf.expand_dims(dense_layer(x, kernel, bias, relu), axis=0)
    return add_bias(tf.matmul(x, kernel), bias, relu)


def add_bias(product: tf.Tensor, bias: tf.Tensor, relu: bool = True) -> tf.Tensor:
    """What follows a product in `dense_layer`.

    In training steps the bias' gradient is a product, too, with ones: added up in float32, and faster than a sum over
    rows.

    Args:
      product: [..., N, outputs].
      bias: [outputs] or [..., 1, outputs], of the same type.
      relu: Whether a ReLU follows.
    """
    if _traced() is None:
        return tf.nn.relu(product + bias) if relu else product + bias

    @tf.custom_gradient
    def add(product: tf.Tensor, bias: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tuple[tf.Tensor, ...]]]:
        out = tf.nn.relu(product + bias) if relu else product + bias

        def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, ...]:
            if relu:
                upstream = tf.raw_ops.ReluGrad(gradients=upstream, features=out)
            ones = tf.ones([1, tf.shape(upstream)[-2]], upstream.dtype)
            return upstream, tf.reshape(tf.matmul(ones, upstream), tf.shape(bias))

        return out, gradient

    return add(product, bias)


def in_blocks(function: Callable[[tf.Tensor], tf.Tensor], rows: tf.Tensor, axis: int) -> tf.Tensor:
    """Applies dense layers to rows of which there are another number in every batch.

    The library behind bfloat16 products (oneDNN) makes a program for every shape. That takes half a millisecond, longer
    than a product of some hundred rows, and it keeps only 1,024 of them. So in bfloat16 zeros fill the rows up to a
    multiple of 32; what comes out of those is dropped, and gets no gradient.

    Args:
      function: Takes rows along `axis` and returns as many along `axis`, each made of its own row alone.
      rows: The rows.
      axis: Axis of the rows.
    """
    if _traced() != "bfloat16":
        return function(rows)
    count = tf.shape(rows)[axis]
    padded = tf.pad(rows, [[0, -count % _BLOCK if i == axis else 0] for i in range(rows.shape.rank)])
    padded.set_shape([None if i == axis else size for i, size in enumerate(rows.shape)])
    out = function(padded)
    own = tf.slice(out, [0] * out.shape.rank, [count if i == axis else -1 for i in range(out.shape.rank)])
    own.set_shape([None if i == axis else size for i, size in enumerate(out.shape)])
    return own


def lacks_bfloat16() -> bool:
    """Whether this machine is known to compute bfloat16 products by way of float32, which is slower than float32."""
    if tf.config.list_physical_devices("GPU"):
        return False
    cpuinfo = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not cpuinfo.exists():
        return False
    flags = next((line for line in cpuinfo.read_text().splitlines() if line.startswith(("flags", "Features"))), "")
    return not _UNITS & set(flags.partition(":")[2].split())


def _traced() -> Precision | None:
    """Precision of the training step that is being traced; None outside of one."""
    return getattr(_TRACED, "precision", None)
