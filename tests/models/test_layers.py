import numpy as np
import pytest
import tensorflow as tf

from models.layers.element_wise_gate import ElementWiseGate
from models.layers.experts import ExpertStack
from models.layers.multi_embedding import MultiEmbedding
from models.layers.prior_embedding import PriorEmbedding
from models.layers.prior_gate import PriorGate
from models.layers.stacked_uniform import StackedUniform
from models.layers.towers import DomainTowers

LAYERS = [
    (
        MultiEmbedding((3, 4), num_sets=2, embedding_dim=3, num_values=1, l2=0.1, stddev=0.5, seed=3),
        (tf.constant([[1, 2], [0, 3]], tf.int64), tf.constant([[0.5], [-1.0]])),
    ),
    (ExpertStack(2, (5, 4), dropout=0.2, seed=4), (tf.ones([2, 3, 6]),)),
    (
        PriorEmbedding(3, 4, 2, embedding_dim=3, stddev=0.5, seed=5),
        (tf.constant([0, 2]), tf.constant([3, 1]), tf.constant([0, 1])),
    ),
    (PriorGate(2, 3, seed=6), (tf.ones([4, 5]), tf.constant([3, 1]))),
    (ElementWiseGate(2, 3, width=4, seed=7), (tf.ones([4, 5]), tf.constant([3, 1]))),
    (DomainTowers(2, (4,), dropout=0.2, seed=8), (tf.ones([4, 5]), tf.constant([0, 4]))),
]


@pytest.mark.parametrize(("layer", "inputs"), LAYERS, ids=lambda x: getattr(x, "name", ""))
def test_config_round_trip_gives_the_same_layer(layer, inputs):
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    np.testing.assert_array_equal(again(*inputs), layer(*inputs))


@pytest.mark.parametrize(("layer", "inputs"), LAYERS, ids=lambda x: getattr(x, "name", ""))
def test_the_seed_decides_every_random_weight(layer, inputs):
    other = type(layer).from_config({**layer.get_config(), "seed": layer.seed + 100})
    layer(*inputs), other(*inputs)
    for mine, its in zip(layer.weights, other.weights, strict=True):
        assert "bias" in mine.name or not np.any(mine.numpy() == its.numpy()), mine.name


@pytest.mark.parametrize(
    ("make", "argument"),
    [
        (lambda: MultiEmbedding((), 2, 3), "vocabulary_sizes"),
        (lambda: MultiEmbedding((3, 0), 2, 3), "vocabulary_sizes"),
        (lambda: MultiEmbedding((3,), 0, 3), "num_sets"),
        (lambda: MultiEmbedding((3,), 2, 0), "embedding_dim"),
        (lambda: MultiEmbedding((3,), 2, 3, l2=-1.0), "l2"),
        (lambda: ExpertStack(0, (4,)), "num_experts"),
        (lambda: ExpertStack(2, ()), "units"),
        (lambda: ExpertStack(2, (4,), dropout=1.0), "dropout"),
        (lambda: PriorEmbedding(0, 1, 1, 1), "num_users"),
        (lambda: PriorGate(0, 2), "num_domains"),
        (lambda: PriorGate(2, 0), "num_experts"),
        (lambda: ElementWiseGate(2, 2, width=0), "width"),
        (lambda: DomainTowers(0, (4,)), "num_domains"),
        (lambda: DomainTowers(2, (0,)), "hidden_units"),
        (lambda: DomainTowers(2, (4,), dropout=-0.1), "dropout"),
    ],
)
def test_bad_argument_is_named(make, argument):
    with pytest.raises(ValueError, match=f"`{argument}`.*Received: .*`{argument}`="):
        make()


def test_multi_embedding_hand_worked():
    # Fields of 2 and 3 ids, 2 sets of width 2, one numeric field. Row r of the table is 10 r + column; row 4
    # is field 1's id 2.
    layer = MultiEmbedding((2, 3), num_sets=2, embedding_dim=2, num_values=1)
    layer.build(None)
    layer.table.assign([[10.0 * r + c for c in range(4)] for r in range(5)])
    layer.value_vectors.assign([[1.0, 2.0, 3.0, 4.0]])
    output = layer(tf.constant([[1, 2], [0, 0]], tf.int64), tf.constant([[0.5], [-1.0]])).numpy()
    assert output.tolist() == [
        [[10, 11, 40, 41, 0.5, 1.0], [0, 1, 20, 21, -1.0, -2.0]],
        [[12, 13, 42, 43, 1.5, 2.0], [2, 3, 22, 23, -3.0, -4.0]],
    ]


def test_multi_embedding_gradient_is_sparse_and_l2_pulls_the_batch_only():
    layer = MultiEmbedding((2, 3), num_sets=2, embedding_dim=2, l2=0.5, stddev=1.0)
    ids = tf.constant([[1, 2], [1, 0]], tf.int64)
    with tf.GradientTape() as tape:
        layer(ids, training=True)
        regularization = tf.add_n(layer.losses)
    # Rows 1, 4, 1, 2 of the table, over 2 rows of the batch.
    table = layer.table.numpy()
    assert regularization.numpy() == pytest.approx(0.5 * np.square(table[[1, 4, 1, 2]]).sum() / 2, rel=1e-5)
    gradients = tape.gradient(regularization, layer.table)
    assert isinstance(gradients, tf.IndexedSlices)
    assert sorted(gradients.indices.numpy()) == [1, 1, 2, 4]
    layer(ids)
    assert layer.losses == []


def test_multi_embedding_without_its_values_says_so():
    with pytest.raises(ValueError, match="`values` should be"):
        MultiEmbedding((2,), 1, 1, num_values=1)(tf.constant([[0]], tf.int64))


def test_experts_match_slow_loops():
    layer = ExpertStack(3, (5, 4), seed=1)
    x = np.random.default_rng(0).normal(size=(3, 6, 7)).astype(np.float32)
    output = layer(x).numpy()
    for p in range(3):
        for k in range(6):
            h = x[p, k]
            for kernel, bias in zip(layer.kernels, layer.biases, strict=True):
                h = np.maximum(h @ kernel.numpy()[p] + bias.numpy()[p, 0], 0)
            np.testing.assert_allclose(output[p, k], h, rtol=1e-5, atol=1e-6)
    # The output ends in a ReLU too.
    assert output.min() == 0
    assert output.max() > 0


def test_experts_start_different_from_each_other():
    layer = ExpertStack(3, (8,))
    output = layer(tf.ones([3, 1, 5])).numpy()
    assert not np.allclose(output[0], output[1])
    assert not np.allclose(output[1], output[2])


def test_experts_need_one_block_each():
    with pytest.raises(ValueError, match=r"\[3, N, inputs\]"):
        ExpertStack(3, (4,))(tf.ones([2, 5, 6]))


def test_dropout_is_for_hidden_layers_in_training():
    x = tf.ones([2, 400, 6])
    layer = ExpertStack(2, (50, 8), dropout=0.5, seed=2)
    still = layer(x).numpy()
    np.testing.assert_array_equal(layer(x), still)
    noisy = layer(x, training=True).numpy()
    assert not np.allclose(noisy[:, 0], noisy[:, 1])
    # Only what comes before the last layer is dropped: an output of one layer has no noise.
    single = ExpertStack(2, (8,), dropout=0.5, seed=2)
    np.testing.assert_array_equal(single(x, training=True), single(x))


def test_vector_gate_hand_worked():
    # r W = [0, ln 3] in domain 0: weights 1/4 and 3/4. In domain 1 [ln 2, ln 2]: 1/2 and 1/2.
    gate = PriorGate(2, 2)
    gate.build(tf.TensorShape([None, 1]))
    gate.kernel.assign([[[0.0, np.log(3)]], [[np.log(2), np.log(2)]]])
    weights = gate(tf.ones([2, 1]), tf.constant([1, 1])).numpy()
    assert weights.shape == (2, 2, 1)
    np.testing.assert_allclose(weights[:, 0, 0], [1 / 4, 3 / 4], rtol=1e-6)
    np.testing.assert_allclose(weights[:, 1, 0], [1 / 2, 1 / 2], rtol=1e-6)


def test_element_wise_gate_hand_worked():
    # Two experts of width 2, W in the order expert, element. Element 0 has scores (0, ln 3), element 1
    # (ln 4, 0).
    gate = ElementWiseGate(1, 2, width=2)
    gate.build(tf.TensorShape([None, 1]))
    gate.kernel.assign([[[0.0, np.log(4), np.log(3), 0.0]]])
    weights = gate(tf.ones([1, 1]), tf.constant([1])).numpy()
    np.testing.assert_allclose(weights[:, 0], [[1 / 4, 4 / 5], [3 / 4, 1 / 5]], rtol=1e-6)
    # Eq. 9 on O = [[8, 5], [4, 10]]: t = [8/4 + 3*4/4, 4*5/5 + 10/5] = [5, 6].
    outputs = np.array([[8.0, 5.0], [4.0, 10.0]])
    np.testing.assert_allclose((weights[:, 0] * outputs).sum(axis=0), [5, 6], rtol=1e-6)


@pytest.mark.parametrize("width", [1, 3])
def test_gates_match_slow_loops(width):
    gate = PriorGate(3, 4, seed=1) if width == 1 else ElementWiseGate(3, 4, width=width, seed=1)
    prior = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    weights = gate(prior, tf.constant([2, 0, 4])).numpy()
    for row, domain in enumerate([0, 0, 2, 2, 2, 2]):
        for element in range(width):
            scores = [
                sum(prior[row, i] * gate.kernel.numpy()[domain, i, p * width + element] for i in range(5))
                for p in range(4)
            ]
            expected = np.exp(scores) / sum(np.exp(scores))
            np.testing.assert_allclose(weights[:, row, element], expected, rtol=1e-4)


def test_gate_survives_large_scores():
    gate = PriorGate(1, 2)
    gate.build(tf.TensorShape([None, 1]))
    gate.kernel.assign([[[1000.0, -1000.0]]])
    weights = gate(tf.ones([1, 1]), tf.constant([1])).numpy()
    np.testing.assert_array_equal(weights[:, 0, 0], [1, 0])


def test_towers_match_slow_loops_and_do_not_clip_the_logit():
    towers = DomainTowers(3, (5, 4), seed=1)
    x = np.random.default_rng(0).normal(size=(20, 6)).astype(np.float32)
    logits = towers(x, tf.constant([12, 0, 8])).numpy()
    for row in range(20):
        domain = 0 if row < 12 else 2
        h = x[row]
        for kernel, bias in zip(towers.kernels[:-1], towers.biases[:-1], strict=True):
            h = np.maximum(h @ kernel.numpy()[domain] + bias.numpy()[domain], 0)
        expected = h @ towers.kernels[-1].numpy()[domain] + towers.biases[-1].numpy()[domain]
        np.testing.assert_allclose(logits[row], expected[0], rtol=1e-4, atol=1e-6)
    assert logits.min() < 0 < logits.max()


def test_prior_embedding_is_user_item_domain():
    layer = PriorEmbedding(3, 4, 2, embedding_dim=2)
    layer.build(None)
    users, items, domains = (table.numpy() for table in layer.tables)
    output = layer(tf.constant([2]), tf.constant([1]), tf.constant([1])).numpy()
    np.testing.assert_array_equal(output[0], [*users[2], *items[1], *domains[1]])


def test_stacked_uniform_has_each_matrix_own_variance():
    # Variance of U(-b, b) is b^2 / 3: 2 / inputs before a ReLU, 2 / (inputs + outputs) otherwise, whatever
    # the stack.
    for relu, variance in ((True, 2 / 100), (False, 2 / 150)):
        for stack in (1, 20):
            numbers = StackedUniform(seed=1, relu=relu)((stack, 100, 50)).numpy()
            assert np.var(numbers) == pytest.approx(variance, rel=0.05)
    assert StackedUniform.from_config(StackedUniform(3, relu=False).get_config()).get_config() == {
        "seed": 3,
        "relu": False,
    }
