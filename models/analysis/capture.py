"""What the instruments look at, taken out of a Keras model: its embedding spaces, and its experts and gates on rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from models.analysis.captured import Captured, EmbeddingSpace
from models.layers.domain_embedding import DomainEmbedding
from models.layers.multi_embedding import MultiEmbedding
from models.training.input import LABEL, model_inputs
from models.zoo.base import MultiDomainModel

_Floats = npt.NDArray[np.floating]


def embedding_spaces(model: MultiDomainModel, domain_names: Sequence[str] | None = None) -> list[EmbeddingSpace]:
    """Every embedding set of a model that holds all id fields; prior embeddings, which hold three, are left out.

    Args:
      model: A model with weights.
      domain_names: What the S domains are called; by default by their numbers.
    """
    domains = domain_names or [str(s) for s in range(model.layout.num_domains)]
    sizes = model.layout.vocabulary_sizes
    inner = {id(layer.crossed) for layer in model.submodules if isinstance(layer, DomainEmbedding)}
    spaces: list[EmbeddingSpace] = []
    names: Counter[str] = Counter()
    for layer in model.submodules:
        if not isinstance(layer, MultiEmbedding | DomainEmbedding) or id(layer) in inner:
            continue
        # Keras numbers layers by how many the process has made; here they are numbered within the model.
        kind = re.sub(r"_\d+$", "", layer.name)
        names[kind] += 1
        name = kind if names[kind] == 1 else f"{kind} {names[kind]}"
        if isinstance(layer, MultiEmbedding):
            fields = _by_field(layer.table.numpy(), layer.vocabulary_sizes)
            spaces += [
                EmbeddingSpace(f"{name}/set {p}", [_set(field, p, layer.num_sets) for field in fields], None)
                for p in range(layer.num_sets)
            ]
        else:
            sets = layer.crossed.num_sets
            fields = _by_field(layer.crossed.table.numpy(), layer.crossed.vocabulary_sizes)
            for s in range(layer.num_domains):
                own = [field[s * size : (s + 1) * size] for field, size in zip(fields, sizes, strict=True)]
                domain = f"{name}/domain {domains[s]}"
                spaces += [
                    EmbeddingSpace(
                        f"{domain}, set {p}" if sets > 1 else domain, [_set(field, p, sets) for field in own], s
                    )
                    for p in range(sets)
                ]
    return spaces


def capture(
    model: MultiDomainModel, batches: Iterable[Mapping[str, tf.Tensor]], rows: int, domain: int | None = None
) -> Captured:
    """Runs a model over rows.

    Args:
      model: A model with weights.
      batches: Transformed examples, by column.
      rows: The most rows taken, the first ones.
      domain: Treats every row as one of this domain; its own where not given.

    Raises:
      ValueError: If there is no row.
    """
    parts: list[tuple[npt.NDArray, ...]] = []
    taken = 0
    has_experts = has_gates = True
    for batch in batches:
        if taken >= rows:
            break
        kept = {name: column[: rows - taken] for name, column in batch.items()}
        inputs = model_inputs(kept)
        own = inputs["domain"].numpy()
        if domain is not None:
            inputs["domain"] = tf.fill(tf.shape(inputs["domain"]), tf.constant(domain, inputs["domain"].dtype))
        result = model.forward(inputs)
        experts, gates = result.expert_outputs, result.gate_weights
        has_experts, has_gates = experts is not None, gates is not None
        parts.append(
            (
                inputs["ids"].numpy()[:, model.layout.first_columns],
                own,
                kept[LABEL].numpy(),
                np.zeros((0, len(own), 0)) if experts is None else experts.numpy(),
                np.zeros((0, len(own), 0)) if gates is None else gates.numpy(),
            )
        )
        taken += len(own)
    if not taken:
        raise ValueError("there are no rows to run the model over")
    ids, domains, labels, outputs, weights = zip(*parts, strict=True)
    return Captured(
        np.concatenate(ids),
        np.concatenate(domains),
        np.concatenate(labels),
        np.concatenate(outputs, axis=1) if has_experts else None,
        np.concatenate(weights, axis=1) if has_gates else None,
    )


def domain_norms(
    model: MultiDomainModel, batches: Callable[[], Iterable[Mapping[str, tf.Tensor]]], rows: int
) -> npt.NDArray[np.floating] | None:
    """Norms of what every domain's own experts say about every row, [S, N]; None where no expert is bound to a domain.

    Args:
      model: A model with weights.
      batches: Called for the transformed examples, once a domain.
      rows: The most rows taken, the first ones.
    """
    norms: list[npt.NDArray[np.floating]] = []
    for domain in range(model.layout.num_domains):
        own = model.own_experts(domain)
        if own is None:
            return None
        experts = capture(model, batches(), rows, domain).experts
        assert experts is not None, f"{model.name} has experts of its domains but captures none"
        norms.append(np.linalg.norm(experts[own], axis=(0, 2)))
    return np.stack(norms)


def _by_field(table: _Floats, sizes: tuple[int, ...]) -> list[_Floats]:
    return np.split(table, list(accumulate(sizes))[:-1])


def _set(field: _Floats, number: int, sets: int) -> _Floats:
    return field.reshape(len(field), sets, -1)[:, number]
