"""What the promises of the zoo are checked with: every model by name, and which of its weights belong to one domain."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path

import numpy as np
import tensorflow as tf

from models.config import PleConfig
from models.export import model_weights
from models.layers.domain_embedding import DomainEmbedding
from models.layers.domain_experts import DomainExperts
from models.layers.domain_indicator import DomainIndicator
from models.layers.gate_nu import GateNu
from models.layers.linear_part import LinearPart
from models.layers.multi_embedding import MultiEmbedding
from models.layers.partitioned_normalization import PartitionedNormalization
from models.layers.personalized_towers import PersonalizedTowers
from models.layers.prior_gate import PriorGate
from models.layers.star_mlp import StarMlp
from models.layers.towers import DomainTowers
from models.losses import EXPERT_LOSSES
from models.zoo import MODELS, MultiDomainModel
from tests.models.small_model import LAYOUT, NUM_DOMAINS, batch, small_model, tensors

# Every model once with its defaults, and again where another setting makes other layers.
CASES = {
    **{name: {"name": name} for name in sorted(MODELS)},
    "crocodile, vector_wise": {"name": "crocodile", "gate": "vector_wise"},
    "crocodile, crosses": {"name": "crocodile", "cross_layers": 1},
    "crocodile, linear": {"name": "crocodile", "linear_part": "shared"},
    "crocodile, crossed": {"name": "crocodile", "linear_part": "crossed"},
    "ple, 2 levels": {"name": "ple", "ple": PleConfig(domain_experts=2, levels=2)},
    "me_ple, 2 levels": {"name": "me_ple", "ple": PleConfig(domain_experts=2, levels=2)},
}
# The losses that take CovLoss's place, which is every model's default.
OTHER_LOSSES = sorted(set(EXPERT_LOSSES) - {"cov"})
WITHOUT_EXPERTS = {
    "adasparse",
    "epnet",
    "hamur",
    "logistic_regression",
    "logistic_regression_crossed",
    "pepnet",
    "shared_bottom",
    "single_domain",
    "star",
}
WITHOUT_GATES = {"hinet"}
UNKNOWN = NUM_DOMAINS


def losses_of(name: str) -> list[str]:
    """The losses that a model has what it takes for, besides CovLoss."""
    if name in WITHOUT_EXPERTS:
        return []
    return [loss for loss in OTHER_LOSSES if loss != "importance" or name not in WITHOUT_GATES]


def shaken(case: str, seed: int = 0, **changes) -> MultiDomainModel:
    """A model in which no weight is 0, as biases and a regression's weights would be at the start.

    Its biases are positive and its towers wide enough that hardly a ReLU is dead.
    """
    model = small_model(seed, **{"tower_units": (8,), **CASES[case], **changes})
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if "bias" in variable.name or not np.any(variable.numpy()):
            variable.assign(np.abs(rng.normal(size=variable.shape)))
    return model


def export(model: MultiDomainModel, folder: Path) -> None:
    """Writes a SavedModel whose inputs are the model's own."""
    signature = {
        "ids": tf.TensorSpec([None, LAYOUT.num_id_fields], tf.int64, name="ids"),
        "values": tf.TensorSpec([None, LAYOUT.num_value_fields], tf.float32, name="values"),
        "domain": tf.TensorSpec([None], tf.int64, name="domain"),
    }
    module = tf.Module()
    module.model_weights = model_weights(model)
    score = tf.function(lambda inputs: {"probability": model(inputs)}, input_signature=[signature], autograph=False)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": score})


def owners(model: MultiDomainModel) -> list[tuple[tf.Variable, np.ndarray]]:
    """The variables that hold domains' own parts, each with the domain that owns every index of its first axis."""
    found: list[tuple[tf.Variable, np.ndarray]] = []
    every = np.arange(NUM_DOMAINS)
    for layer in model.submodules:
        if isinstance(layer, DomainTowers | DomainExperts):
            found += [(variable, every) for variable in (*layer.kernels, *layer.biases)]
        elif isinstance(layer, PriorGate) and layer.num_domains == NUM_DOMAINS:
            found.append((layer.kernel, every))
        elif isinstance(layer, GateNu) and layer.num_domains == NUM_DOMAINS:
            found += [(layer.out_kernel, every), (layer.out_bias, every)]
        elif isinstance(layer, DomainEmbedding):
            rows = np.concatenate([np.repeat(every, size) for size in layer.vocabulary_sizes])
            found += [(layer.crossed.table, rows), (layer.value_vectors, every)]
        elif isinstance(layer, PersonalizedTowers):
            found += [(layer.kernel, every), (layer.bias, every)]
        elif isinstance(layer, StarMlp):
            found += [(variable, every) for variable in (*layer.factors, *layer.domain_biases)]
        elif isinstance(layer, PartitionedNormalization):
            found += [(layer.domain_scale, every), (layer.domain_shift, every)]
        elif isinstance(layer, DomainIndicator):
            found.append((layer.table, every))
        elif isinstance(layer, LinearPart):
            found.append((layer.bias, every))
    return found


def tables_of_fields(model: MultiDomainModel) -> Iterator[tuple[tf.Variable, slice]]:
    """Every field's part of every embedding table."""
    for layer in model.submodules:
        if isinstance(layer, MultiEmbedding):
            for first, end in pairwise(accumulate(layer.vocabulary_sizes, initial=0)):
                yield layer.table, slice(first, end)


def gradients(model, inputs, labels, training=True) -> dict:
    """Gradients of the loss, dense, by the variable's reference."""
    with tf.GradientTape() as tape:
        loss = model.compute_loss((tensors(inputs), tf.constant(labels)), training=training)
        loss += tf.add_n([tf.zeros([]), *model.losses])
    found = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in found)
    refs = [variable.ref() for variable in model.trainable_variables]
    return {ref: tf.convert_to_tensor(gradient).numpy() for ref, gradient in zip(refs, found, strict=True)}


def many_rows(domains: list[int], rows: int = 45, seed: int = 3):
    """Inputs and labels enough to reach every id and to wake most ReLUs."""
    inputs = batch([domains[i % len(domains)] for i in range(rows)], seed=seed)
    return inputs, np.arange(rows) // 2 % 2


def conflicting_rows(users: int = 32):
    """64 rows to be learned by heart: of each user two rows that differ in the domain alone, clicked without a pattern.

    Half of the users click in one of the two domains only.

    Returns:
      The layout, inputs and labels.
    """
    layout = LAYOUT.model_copy(update={"vocabulary_sizes": (2 * users + 1, 7, 4)})
    one = batch([i % NUM_DOMAINS for i in range(users)], layout=layout)
    one["ids"][:, 0] = 1 + np.arange(users)
    other = {**one, "domain": (one["domain"] + 1) % NUM_DOMAINS}
    inputs = {name: np.concatenate([one[name], other[name]]) for name in one}
    labels = np.random.default_rng(0).permutation(np.arange(2 * users) % 2)
    return layout, inputs, labels
