"""Whether a PyTorch peer is the same model as ours: as many weights, and with the same ones the same logits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from benchmarks.torch_peers.sizes import Sizes
from benchmarks.torch_weights import weights_for_peer
from benchmarks.training_rows import NUM_DOMAINS, TrainingRows
from benchmarks.training_sides import PeerTraining, layout, model_config
from models.zoo import build_model

# Small, with widths and vocabularies that differ, so that nothing fits by chance. The gates' hidden layers and the
# auxiliary network have the sizes that both sides have by default.
SIZES = Sizes(
    vocabulary_sizes=(11, 7, 5),
    num_domains=NUM_DOMAINS,
    embedding_dim=4,
    num_experts=3,
    expert_units=(9, 6),
    tower_units=(5,),
    indicator_dim=3,
)


@dataclass(frozen=True)
class Agreement:
    """How far a peer is ours.

    Attributes:
      largest_difference: Of two logits of one row.
      largest_logit: The largest logit, to compare it with.
      parameters: Trained parameters of ours.
      peer_parameters: Those of the peer.
    """

    largest_difference: float
    largest_logit: float
    parameters: int
    peer_parameters: int

    @property
    def is_same(self) -> bool:
        """Whether they are one model, but for float32's last digits."""
        return self.parameters == self.peer_parameters and self.largest_difference <= 1e-5 * self.largest_logit


def compare_with_peer(name: str, peer: PeerTraining, seed: int = 0) -> Agreement:
    """Gives a peer the weights of ours, and scores the same rows with both, as in training.

    Args:
      name: `mmoe`, `pepnet`, `ple` or `star`.
      peer: PyTorch's process.
      seed: Decides weights and rows.
    """
    rows = TrainingRows.draw(SIZES.vocabulary_sizes, batches=1, batch_size=200, seed=seed)
    model = build_model(model_config(name, SIZES), layout(SIZES), seed)
    rng = np.random.default_rng(seed)
    # Of the size of 1 at every layer, biases too, so that a mistake is as large as an answer.
    for weight in model.trainable_variables:
        weight.assign_add(rng.normal(scale=0.5, size=weight.shape).astype(np.float32))
    inputs = {"ids": tf.constant(rows.ids[0]), "domain": tf.constant(rows.domain[0])}
    logits = model.forward(inputs, training=True).logits.numpy()
    peer.begin(name, SIZES, rows, learning_rate=1e-3, threads=1)
    peer_logits, peer_parameters = peer.scores(weights_for_peer(model))
    return Agreement(
        largest_difference=float(np.abs(logits - peer_logits).max()),
        largest_logit=float(np.abs(logits).max()),
        parameters=sum(int(np.prod(weight.shape)) for weight in model.trainable_variables),
        peer_parameters=peer_parameters,
    )
