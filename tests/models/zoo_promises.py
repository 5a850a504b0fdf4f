"""What the promises of the zoo are checked with: every model by name, and which of its weights belong to one domain."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from models.config import PleConfig
from models.layers.domain_embedding import DomainEmbedding
from models.layers.domain_experts import DomainExperts
from models.layers.domain_indicator import DomainIndicator
from models.layers.domain_mlp import DomainMlp
from models.layers.linear_part import LinearPart
from models.layers.personalized_towers import PersonalizedTowers
from models.layers.prior_gate import PriorGate
from models.layers.star_towers import StarTowers
from models.layers.towers import DomainTowers
from models.zoo import MODELS, MultiDomainModel
from tests.models.small_model import NUM_DOMAINS, batch, small_model, tensors

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


def owners(model: MultiDomainModel) -> list[tuple[tf.Variable, np.ndarray]]:
    """The variables that hold domains' own parts, each with the domain that owns every index of its first axis."""
    found: list[tuple[tf.Variable, np.ndarray]] = []
    every = np.arange(NUM_DOMAINS)
    for layer in model.submodules:
        if isinstance(layer, DomainTowers):
            found += [(variable, every) for variable in (*layer.kernels, *layer.biases)]
        elif isinstance(layer, PriorGate) and layer.num_domains == NUM_DOMAINS:
            found.append((layer.kernel, every))
        elif isinstance(layer, DomainExperts):
            for domain, stack in enumerate(layer.stacks):
                found += [(v, np.full(v.shape[0], domain)) for v in stack.trainable_variables]
        elif isinstance(layer, DomainEmbedding):
            rows = np.concatenate([np.repeat(every, size) for size in layer.vocabulary_sizes])
            found += [(layer.crossed.table, rows), (layer.value_vectors, every)]
        elif isinstance(layer, DomainMlp):
            found += [(variable, every) for variable in (*layer.kernels, *layer.biases)]
        elif isinstance(layer, PersonalizedTowers):
            found += [(layer.kernel, every), (layer.bias, every)]
        elif isinstance(layer, StarTowers):
            found += [(variable, every) for variable in (*layer.factors, *layer.domain_biases)]
        elif isinstance(layer, DomainIndicator):
            found.append((layer.table, every))
        elif isinstance(layer, LinearPart):
            found.append((layer.bias, every))
    return found


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
