"""What a row costs does not grow with the number of domains: products counted as they are computed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import op_callbacks

from models.zoo import MODELS, build_model
from serving.servable import Servable
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, small_config, tensors
from tests.models.zoo_promises import export

# Their idea is that a domain hears all domains' experts.
MIXES_DOMAINS = {"hinet", "m3oe"}
PRODUCTS = {"MatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum"}
ROWS = 48


class Counted:
    """Multiplications in matrix products, and what they put out, while it is in effect; gradients' too."""

    def __init__(self) -> None:
        self.multiplications = 0
        self.outputs = 0

    def __call__(
        self,
        op_type: str | bytes,
        inputs: Sequence[tf.Tensor],
        attrs: Any,
        outputs: Sequence[tf.Tensor],
        op_name: Any = None,
        graph: Any = None,
    ) -> None:
        del op_name, graph
        if tf.compat.as_str(op_type) in PRODUCTS:
            out = int(np.prod(outputs[0].shape))
            a = inputs[0].shape
            transposed = dict(zip(attrs[::2], attrs[1::2], strict=True)) if attrs else {}
            inner = a[-2] if transposed.get("transpose_a") or transposed.get("adj_x") else a[-1]
            self.multiplications += out * int(inner)
            self.outputs += out

    def __enter__(self) -> Counted:
        op_callbacks.add_op_callback(self)
        return self

    def __exit__(self, *_: object) -> None:
        op_callbacks.remove_op_callback(self)


def of_domains(name: str, domains: int):
    layout = LAYOUT.model_copy(update={"num_domains": domains})
    inputs = batch([i % domains for i in range(ROWS)], layout=layout)
    return build_model(small_config(name=name), layout), tensors(inputs)


def training_cost(name: str, domains: int) -> int:
    model, inputs = of_domains(name, domains)
    with Counted() as counted, tf.GradientTape() as tape:
        loss = model.compute_loss((inputs, tf.constant(np.arange(ROWS) % 2)), training=True)
    forward = counted.multiplications
    with counted:
        tape.gradient(loss, model.trainable_variables)
    # A gradient of a product is two more, less those of the inputs' that nobody asks for.
    assert counted.multiplications > 1.5 * forward or not forward
    return counted.multiplications


@pytest.mark.parametrize("name", sorted(MODELS))
def test_a_training_step_costs_the_same_with_four_times_the_domains(name: str) -> None:
    few, many = training_cost(name, 2), training_cost(name, 8)
    if name in MIXES_DOMAINS:
        assert many > 1.5 * few
    else:
        assert many == few


@pytest.mark.parametrize("name", ["crocodile", "me_ple", "pepnet", "sdem", "star", "hamur"])
def test_the_graph_that_is_served_computes_what_the_model_does(name: str, tmp_path) -> None:
    """On TensorFlow Serving's load path: as many numbers come out of matrix products as when the model scores."""
    model = build_model(small_config(name=name), LAYOUT)
    inputs = batch([i % NUM_DOMAINS for i in range(ROWS)])
    with Counted() as counted:
        model(tensors(inputs))
    export(model, tmp_path)
    with Servable(tmp_path, parallelism=(1, 1)) as servable:
        signature = servable.signatures["serving_default"]
        feed = {signature.inputs[key].name: array for key, array in inputs.items()}
        options = tf.compat.v1.RunOptions(trace_level=tf.compat.v1.RunOptions.FULL_TRACE)
        traced = tf.compat.v1.RunMetadata()
        servable._session.run(signature.outputs["probability"].name, feed, options, traced)
    computed = 0
    for device in traced.step_stats.dev_stats:
        for node in device.node_stats:
            if re.search(r"MatMul\w*\(", node.timeline_label) and node.output:
                computed += int(np.prod([d.size for d in node.output[0].tensor_description.shape.dim]))
    assert computed == counted.outputs > 0
