"""A model small enough to follow by hand, batches for it, and Crocodile's forward pass in plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from models.config import ModelConfig
from models.features import FeatureLayout
from models.zoo import MultiDomainModel, build_model

NUM_DOMAINS = 3
LAYOUT = FeatureLayout(
    id_fields=("user", "item", "hour"),
    vocabulary_sizes=(5, 7, 4),
    value_fields=("age", "price"),
    num_domains=NUM_DOMAINS,
)


def small_config(**changes: Any) -> ModelConfig:
    sizes = {
        "embedding_dim": 3,
        "num_sets": 4,
        "expert_units": (6, 5),
        "tower_units": (4,),
        "prior_embedding_dim": 2,
        "m3oe": {"feature_units": 6},
        "hamur": {"rank": 2, "adapter_units": 3, "hyper_units": (4,)},
    }
    # Embeddings of the size of 1, so that a mistake is as large as an answer.
    return ModelConfig(**{**sizes, "embedding_stddev": 1.0, **changes})


def small_model(seed: int = 0, layout: FeatureLayout = LAYOUT, **changes: Any) -> MultiDomainModel:
    """A model whose biases are not 0, as they would be at the start."""
    model = build_model(small_config(**changes), layout, seed)
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if "bias" in variable.name:
            variable.assign(rng.normal(size=variable.shape))
    return model


def batch(domain: list[int] | np.ndarray, seed: int = 0, layout: FeatureLayout = LAYOUT) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = len(domain)
    return {
        "ids": np.stack([rng.integers(0, size, rows) for size in layout.vocabulary_sizes], axis=1).astype(np.int64),
        "values": rng.normal(size=(rows, layout.num_value_fields)).astype(np.float32),
        "domain": np.asarray(domain, np.int64),
    }


def rows_of(inputs: dict[str, np.ndarray], rows: Any) -> dict[str, np.ndarray]:
    return {name: array[rows] for name, array in inputs.items()}


def tensors(inputs: dict[str, np.ndarray]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(array) for name, array in inputs.items()}


def predict(model: MultiDomainModel, inputs: dict[str, np.ndarray]) -> np.ndarray:
    return model(tensors(inputs)).numpy()


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-np.asarray(x, np.float64)))


def slow_experts(model: Any, inputs: dict[str, np.ndarray], row: int) -> list[np.ndarray]:
    """Eq. 4 and 5 for one row: the output of each expert."""
    layout, config = model.layout, model.config
    table = model.multi_embedding.table.numpy().astype(np.float64)
    outputs = []
    for p in range(config.num_sets):
        columns = slice(p * config.embedding_dim, (p + 1) * config.embedding_dim)
        x = [table[offset + i, columns] for offset, i in zip(layout.offsets, inputs["ids"][row], strict=True)]
        for g in range(layout.num_value_fields):
            x.append(inputs["values"][row, g] * model.multi_embedding.value_vectors.numpy()[g, columns])
        h = np.concatenate(x)
        for kernel, bias in zip(model.experts.kernels, model.experts.biases, strict=True):
            h = np.maximum(h @ kernel.numpy()[p] + bias.numpy()[p, 0], 0)
        outputs.append(h)
    return outputs


def slow_gate(model: Any, inputs: dict[str, np.ndarray], row: int, domain: int) -> np.ndarray:
    """Eq. 10 and 11 for one row in one domain: [M, d] or [M, 1]."""
    users, items, domains = (table.numpy().astype(np.float64) for table in model.prior_embedding.tables)
    user, item = inputs["ids"][row, model.layout.user_field], inputs["ids"][row, model.layout.item_field]
    r = np.concatenate([users[user], items[item], domains[domain]])
    scores = (r @ model.gate.kernel.numpy()[domain]).reshape(model.config.num_sets, -1)
    weights = np.empty_like(scores)
    for element in range(scores.shape[1]):
        powers = np.exp(scores[:, element])
        weights[:, element] = powers / powers.sum()
    return weights


def slow_logit(model: Any, inputs: dict[str, np.ndarray], row: int, domain: int) -> float:
    """Eq. 4 to 11 for one row, with the gate and the tower of `domain`."""
    outputs = slow_experts(model, inputs, row)
    gate = slow_gate(model, inputs, row, domain)
    h = np.zeros(model.config.expert_units[-1])
    for p, output in enumerate(outputs):
        h = h + gate[p] * output
    for kernel, bias in zip(model.towers.kernels[:-1], model.towers.biases[:-1], strict=True):
        h = np.maximum(h @ kernel.numpy()[domain] + bias.numpy()[domain], 0)
    return float((h @ model.towers.kernels[-1].numpy()[domain] + model.towers.biases[-1].numpy()[domain])[0])
