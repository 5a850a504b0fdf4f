"""Fields of several columns: the mean of a multi-valued field's values, and a vector's projection, in every layer."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from models.features import FeatureLayout
from models.layers.domain_embedding import DomainEmbedding
from models.layers.linear_part import LinearPart
from models.layers.multi_embedding import MultiEmbedding
from tests.models.small_model import NUM_DOMAINS, small_model
from tests.models.zoo_promises import CASES

SIZES, SLOTS, WIDTHS = (3, 4, 5), (3, 2), (2,)
# One field of one value, then one of up to three values and one of up to two.
IDS = np.array([[1, 2, 3, 3, 4, -1], [2, 0, -1, -1, 1, 2]], np.int64)
VALUES = np.array([[0.5, 2.0, -1.0], [1.0, 0.0, 3.0]], np.float32)
DOMAIN = np.array([0, 1], np.int64)


def looped(table: np.ndarray, vectors: np.ndarray, row: int) -> np.ndarray:
    """Eq. 4 of one row, [F + G, width]."""
    fields, first, offset = [], 0, 0
    for size, places in zip(SIZES, (1, *SLOTS), strict=True):
        present = [i for i in IDS[row, first : first + places] if i >= 0]
        fields.append(np.mean([table[offset + i] for i in present], axis=0))
        first, offset = first + places, offset + size
    return np.stack([*fields, VALUES[row, 0] * vectors[0], VALUES[row, 1:] @ vectors[1:]])


def multi_embedding(**changes) -> MultiEmbedding:
    return MultiEmbedding(SIZES, 2, 3, num_values=2, slots=SLOTS, widths=WIDTHS, stddev=1.0, **changes)


def test_a_multi_valued_field_has_the_mean_and_a_vector_its_projection() -> None:
    layer = multi_embedding()
    output = layer(IDS, VALUES).numpy()
    table, vectors = layer.table.numpy(), layer.value_vectors.numpy()
    assert output.shape == (2, 2, 5 * 3)
    for row in range(2):
        expected = looped(table, vectors, row).reshape(5, 2, 3).transpose(1, 0, 2).reshape(2, 15)
        np.testing.assert_allclose(output[:, row], expected, rtol=1e-5, atol=1e-6)


def test_a_place_without_a_value_touches_no_row_of_the_table() -> None:
    layer = multi_embedding(l2=0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(IDS, VALUES, training=True) ** 2) + tf.add_n(layer.losses)
    gradient = tape.gradient(loss, layer.table)
    touched = {1, 3 + 2, 3 + 3, 7 + 4, 2, 3, 7 + 1, 7 + 2}
    assert set(gradient.indices.numpy().ravel().tolist()) == touched
    dense = tf.convert_to_tensor(gradient).numpy()
    assert set(np.flatnonzero(np.any(dense != 0, axis=1)).tolist()) == touched


def test_l2_is_the_mean_of_a_fields_values() -> None:
    layer = multi_embedding(l2=0.1)
    layer(IDS, VALUES, training=True)
    squares = (layer.table.numpy() ** 2).sum(axis=1)
    rows = [
        squares[1] + (squares[5] + squares[6] + squares[6]) / 3 + squares[7 + 4],
        squares[2] + squares[3] + (squares[7 + 1] + squares[7 + 2]) / 2,
    ]
    np.testing.assert_allclose(layer.losses[0], 0.1 * sum(rows) / 2, rtol=1e-5)


def test_a_domains_own_embeddings_are_pooled_alike() -> None:
    crossed = DomainEmbedding(2, SIZES, 1, 3, num_values=2, slots=SLOTS, widths=WIDTHS, stddev=1.0)
    own = crossed(IDS, DOMAIN, tf.constant([1, 1]), VALUES).numpy()
    for row in range(2):
        # The crossed table holds field by field, in a field domain by domain.
        parts, first = [], 0
        for size in SIZES:
            parts.append(crossed.crossed.table.numpy()[first + row * size : first + (row + 1) * size])
            first += 2 * size
        expected = looped(np.concatenate(parts), crossed.value_vectors.numpy()[row, 0], row)
        np.testing.assert_allclose(own[0, row], expected.ravel(), rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [multi_embedding(seed=3), LinearPart(2, SIZES, 2, SLOTS, WIDTHS, crossed=True)],
    ids=["multi_embedding", "linear_part"],
)
def test_config_round_trip(layer) -> None:
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


LAYOUT = FeatureLayout(
    id_fields=("user", "item", "genres"),
    vocabulary_sizes=(5, 7, 4),
    value_fields=("age", "look"),
    slots=(3,),
    widths=(2,),
    num_domains=NUM_DOMAINS,
)


@pytest.mark.parametrize("case", sorted(CASES))
def test_every_model_takes_both_kinds(case: str) -> None:
    """What a place without a value holds changes nothing, and what the others hold does."""
    model = small_model(layout=LAYOUT, **CASES[case])
    for variable in model.linear_variables:
        variable.assign(np.random.default_rng(0).normal(size=variable.shape))
    ids = np.array([[1, 2, 3, 1, -1], [1, 2, 3, 1, -7], [1, 2, 3, -1, -1], [1, 2, 0, -1, -1]], np.int64)
    values = np.array([[0.5, 1.0, 2.0]] * 4, np.float32)
    inputs = {"ids": tf.constant(ids), "values": tf.constant(values), "domain": tf.ones([4], tf.int64)}
    scores = model(inputs).numpy()
    assert scores.shape == (4,)
    assert scores[0] == pytest.approx(scores[1], abs=1e-6)
    other = model({**inputs, "values": tf.constant(values * [1, -3, 1])}).numpy()
    assert not np.allclose(scores, other) or not np.allclose(scores[0], scores[2:])


def test_the_user_has_one_value() -> None:
    with pytest.raises(ValueError, match="an id field of one value, below 2"):
        FeatureLayout(id_fields=("a", "b", "c"), vocabulary_sizes=(2, 2, 2), slots=(2,), item_field=2, num_domains=1)
