"""bfloat16 products: in training steps only, near float32, and nothing else of the model notices."""

import numpy as np
import pytest
import tensorflow as tf

from models.layers import precision
from models.layers.precision import dense_precision, dense_product, lacks_bfloat16
from tests.models.small_model import batch, small_model, tensors


def test_a_product_is_rounded_to_eight_bits_and_added_up_in_more() -> None:
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 4096), (4096, 3)))
    exact = x.astype(np.float64) @ kernel
    with dense_precision("bfloat16"):
        rounded = dense_product(tf.constant(x), tf.constant(kernel))
    plain = dense_product(tf.constant(x), tf.constant(kernel))
    assert rounded.dtype == plain.dtype == tf.float32
    np.testing.assert_allclose(plain, exact, rtol=1e-4, atol=1e-3)
    # Added up in bfloat16, 4,096 terms of size 1 would be off by whole units of the sum's 64.
    assert 1e-3 < np.abs(rounded - exact).max() < 1.5
    inputs = x.astype(tf.bfloat16.as_numpy_dtype).astype(np.float64)
    np.testing.assert_allclose(
        rounded, inputs @ kernel.astype(tf.bfloat16.as_numpy_dtype).astype(np.float64), rtol=2**-7, atol=0.02
    )


@pytest.mark.parametrize("name", ["crocodile", "mmoe", "ple", "star", "pepnet"])
def test_a_training_step_is_in_bfloat16_and_a_score_is_not(name: str) -> None:
    model = small_model(name=name)
    model.precision = "bfloat16"
    rows, labels = tensors(batch([0, 1, 2, 1])), tf.constant([0, 1, 1, 0])

    def kinds(function: tf.types.experimental.GenericFunction, *inputs: object) -> set[tf.DType]:
        graph = function.get_concrete_function(*inputs).graph
        return {out.dtype for op in graph.get_operations() if "MatMul" in op.type for out in op.outputs}

    def loss(rows: dict, labels: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            value = model.compute_loss((rows, labels), training=True)
        return [value, *tape.gradient(value, model.trainable_variables)]

    assert tf.bfloat16 in kinds(tf.function(loss, autograph=False), rows, labels)
    assert kinds(tf.function(model, autograph=False), rows) == {tf.float32}
    rounded = loss(rows, labels)
    assert {gradient.dtype for gradient in rounded} == {tf.float32}
    model.precision = "float32"
    assert float(rounded[0]) == pytest.approx(float(loss(rows, labels)[0]), rel=0.05)


def test_a_processor_without_the_units_is_known(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision.platform, "system", lambda: "Linux")
    for flags, lacks in (
        ("flags : fpu avx2", True),
        ("flags : avx512f avx512_bf16", False),
        ("flags : amx_bf16", False),
    ):
        (tmp_path / "cpuinfo").write_text(f"processor : 0\n{flags}\n")
        monkeypatch.setattr(precision, "Path", lambda name: tmp_path / "cpuinfo")
        assert lacks_bfloat16() == lacks
