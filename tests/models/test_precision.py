"""bfloat16 products: in training steps only, near float32, and nothing else of the model notices."""

import numpy as np
import pytest
import tensorflow as tf

from models.layers import precision
from models.layers.domain_routing import for_each_domain
from models.layers.precision import dense_layer, dense_precision, in_blocks, lacks_bfloat16
from tests.models.small_model import batch, small_model, tensors


def test_a_product_is_rounded_to_eight_bits_and_added_up_in_more() -> None:
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((5, 4096), (4096, 3)))
    exact = x.astype(np.float64) @ kernel
    with dense_precision("bfloat16"):
        result = dense_layer(tf.constant(x), tf.constant(kernel), tf.zeros([3]), relu=False)
    plain = dense_layer(tf.constant(x), tf.constant(kernel), tf.zeros([3]), relu=False)
    assert (result.dtype, plain.dtype) == (tf.bfloat16, tf.float32)
    rounded = tf.cast(result, tf.float32)
    np.testing.assert_allclose(plain, exact, rtol=1e-4, atol=1e-3)
    # Added up in bfloat16, 4,096 terms of size 1 would be off by whole units of the sum's 64.
    assert 1e-3 < np.abs(rounded - exact).max() < 1.5
    inputs = x.astype(tf.bfloat16.as_numpy_dtype).astype(np.float64)
    np.testing.assert_allclose(
        rounded, inputs @ kernel.astype(tf.bfloat16.as_numpy_dtype).astype(np.float64), rtol=2**-7, atol=0.02
    )


@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize(
    ("x", "kernel", "bias"),
    [
        ((6, 5), (5, 4), (4,)),
        ((3, 6, 5), (3, 5, 4), (3, 1, 4)),
        ((1, 6, 5), (3, 5, 4), (3, 1, 4)),
        ((1, 6, 5), (1, 5, 4), (1, 1, 4)),
        ((0, 5), (5, 4), (4,)),
    ],
)
def test_a_layer_of_a_training_step_has_the_gradients_of_any_other(x, kernel, bias, relu: bool) -> None:
    rng = np.random.default_rng(0)
    parts = [tf.constant(rng.normal(size=shape), tf.float32) for shape in (x, kernel, bias)]
    weights = tf.constant(rng.normal(size=(*np.broadcast_shapes(x[:-2], kernel[:-2]), x[-2], 4)), tf.float32)

    def gradients() -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(parts)
            loss = tf.reduce_sum(weights * tf.cast(dense_layer(*parts, relu=relu), tf.float32))
        return [loss, *tape.gradient(loss, parts)]

    plain = gradients()
    for name, tolerance in (("float32", 1e-5), ("bfloat16", 0.1)):
        with dense_precision(name):
            for own, expected in zip(gradients(), plain, strict=True):
                assert own.dtype == tf.float32
                np.testing.assert_allclose(own, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_in_blocks_are_the_same_rows(axis: int) -> None:
    x = tf.reshape(tf.range(2 * 40 * 3.0), [40, 6] if axis == 0 else [2, 40, 3])
    seen = []

    def double(domain: int, rows: tf.Tensor) -> tf.Tensor:
        seen.append(int(rows.shape[axis]))
        return rows * 2 * (domain + 1)

    rows_per_domain = tf.constant([33, 0, 7])
    results, gradients = [], []
    for name in ("float32", "bfloat16"):
        with dense_precision(name), tf.GradientTape() as tape:
            tape.watch(x)
            results.append(for_each_domain(double, x, rows_per_domain, 3, axis=axis, dense=True))
        gradients.append(tape.gradient(results[-1], x))
    assert seen == [33, 0, 7, 64, 0, 32]
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(*gradients)
    assert in_blocks(lambda rows: rows, x, axis) is x


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
