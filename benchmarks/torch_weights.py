"""The weights of a model of the zoo under the names of its PyTorch peer, which loads all of them and no other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

Weights = Iterator[tuple[str, Any]]


def weights_for_peer(model: Any) -> dict[str, np.ndarray]:
    """The peer's state by name.

    Args:
      model: MMoE, PLE, PEPNet or STAR, of one extraction level where it has such.
    """
    tables = np.split(model.embedding.table.numpy(), model.layout.offsets[1:])
    embeddings = ((f"embeddings.tables.{field}.weight", table) for field, table in enumerate(tables))
    return {name: np.array(weight) for name, weight in (*embeddings, *_OTHERS[model.config.name](model))}


def _linear(name: str, kernel: Any, bias: Any = None) -> Weights:
    """A linear layer: PyTorch keeps [out, in]."""
    yield f"{name}.weight", np.transpose(kernel)
    if bias is not None:
        yield f"{name}.bias", np.reshape(bias, -1)


def _mlps(name: str, layer: Any) -> Weights:
    """MLPs that lie stacked in a layer's `kernels` and `biases`."""
    # A ReLU stands between two linear layers.
    for i, (kernels, biases) in enumerate(zip(layer.kernels, layer.biases, strict=True)):
        for p, (kernel, bias) in enumerate(zip(kernels.numpy(), biases.numpy(), strict=True)):
            yield from _linear(f"{name}.{p}.{2 * i}", kernel, bias)


def _gates(name: str, gate: Any) -> Weights:
    for s, kernel in enumerate(gate.kernel.numpy()):
        yield from _linear(f"{name}.{s}", kernel)


def _mmoe(model: Any) -> Weights:
    yield from _mlps("experts", model.experts)
    yield from _gates("gates", model.gate)
    yield from _mlps("towers", model.towers)


def _ple(model: Any) -> Weights:
    (level,) = model.levels
    yield from _mlps("shared", level.shared_experts)
    own = level.domain_experts
    for i, (kernels, biases) in enumerate(zip(own.kernels, own.biases, strict=True)):
        for s in range(own.num_domains):
            (kernel,), (bias,) = kernels[s].numpy(), biases[s].numpy()
            yield from _linear(f"own.{s}.{2 * i}", kernel, bias)
    yield from _gates("gates", level.gate)
    yield from _mlps("towers", model.towers)


def _star(model: Any) -> Weights:
    normalization, mlp = model.normalization, model.mlp
    for name in ("scale", "shift", "domain_scale", "domain_shift"):
        yield f"normalization.{name}", getattr(normalization, name)
    for name in ("kernels", "biases", "factors", "domain_biases"):
        for i, weight in enumerate(getattr(mlp, name)):
            yield f"{name}.{i}", weight
    yield "indicator.weight", model.domain_indicator.table
    for name, weight in _mlps("auxiliary", model.auxiliary):
        yield name.replace("auxiliary.0", "auxiliary"), weight
    last = 2 * len(model.auxiliary.kernels)
    yield from _linear(f"auxiliary.{last}", model.auxiliary_logit.kernel, model.auxiliary_logit.bias)


def _pepnet(model: Any) -> Weights:
    gate, towers = model.embedding_gate.gate, model.towers
    yield "indicator.weight", model.embedding_gate.indicator.table
    yield from _linear("embedding_gate.0", gate.kernel, gate.bias)
    yield from _linear("embedding_gate.2", gate.out_kernel[0], gate.out_bias[0])
    for i, (layer, gate) in enumerate(zip(towers.layers, towers.gates, strict=True)):
        yield from _linear(f"gate_hidden.{i}", gate.kernel, gate.bias)
        for s in range(towers.num_domains):
            yield from _linear(f"gates.{s}.{i}", gate.out_kernel[s], gate.out_bias[s])
            yield from _linear(f"layers.{s}.{i}", layer.kernels[0][s, 0], layer.biases[0][s])
    for s in range(towers.num_domains):
        yield from _linear(f"logits.{s}", towers.kernel[s], towers.bias[s])


_OTHERS: Mapping[str, Callable[[Any], Weights]] = {"mmoe": _mmoe, "pepnet": _pepnet, "ple": _ple, "star": _star}
