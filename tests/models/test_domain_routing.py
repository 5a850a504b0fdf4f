import numpy as np
import pytest
import tensorflow as tf

from models.layers.domain_routing import for_each_domain, route_rows


def route(domain, num_domains=3):
    return route_rows(tf.constant(domain, tf.int64), num_domains)


def test_hand_worked():
    # Row 3 is of an unknown domain: it follows the rows of every domain.
    routing = route([2, 0, 2, 3, 0])
    assert routing.rows.numpy().tolist() == [1, 4, 3, 3, 0, 2, 3]
    assert routing.domain.numpy().tolist() == [0, 0, 0, 1, 2, 2, 2]
    assert routing.rows_per_domain.numpy().tolist() == [3, 1, 3]
    assert routing.known.numpy().tolist() == [True, True, True, False, True]


@pytest.mark.parametrize("domain", [[0, 1, 2, 1], [1, 1, 1], [2], [], [2, 1, 0], [0, 0, 2]])
def test_known_rows_come_back_in_order(domain):
    routing = route(domain)
    x = tf.random.normal([len(domain)])
    np.testing.assert_array_equal(routing.combine(routing.dispatch(x)), x)
    columns = tf.random.normal([2, len(domain), 3])
    np.testing.assert_array_equal(routing.restore(tf.gather(columns, routing.rows, axis=1), axis=1), columns)
    assert routing.rows_per_domain.numpy().tolist() == [domain.count(s) for s in range(3)]


@pytest.mark.parametrize("unknown", [3, -1, 1000, np.iinfo(np.int64).max, np.iinfo(np.int64).min, 2**32])
def test_any_domain_that_is_not_listed_is_unknown(unknown):
    # 2**32 becomes 0 as an int32: it must not be taken for domain 0.
    routing = route([unknown, 1])
    assert routing.known.numpy().tolist() == [False, True]
    assert routing.rows.numpy().tolist() == [0, 1, 0, 0]


def test_unknown_row_gets_the_logit_of_the_mean_probability():
    routing = route([1, 9])
    # Routed rows: 9 in domain 0, 1 in domain 1, 9 in domain 1, 9 in domain 2.
    logits = tf.math.log(tf.constant([0.2, 0.6, 0.4, 0.9]) / (1 - tf.constant([0.2, 0.6, 0.4, 0.9])))
    np.testing.assert_allclose(tf.sigmoid(routing.combine(logits)), [0.6, (0.2 + 0.4 + 0.9) / 3], rtol=1e-6)


@pytest.mark.parametrize("size", [0.0, 30.0, 200.0, 1e6])
@pytest.mark.parametrize("signs", [[1, 1, 1, 1, 1], [-1, -1, -1, -1, -1], [1, -1, 1, 1, -1]], ids=str)
def test_extreme_logits_stay_finite_with_their_gradients(size, signs):
    routing = route([1, 9, 0])
    logits = size * tf.constant(signs, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        combined = routing.combine(logits)
    assert np.isfinite(combined).all()
    assert np.isfinite(tape.gradient(combined, logits)).all()


def test_each_domain_sees_its_own_rows_only():
    seen = {}

    def function(domain, rows):
        seen[domain] = rows.numpy().tolist()
        return rows * 10 ** float(domain)

    result = for_each_domain(function, tf.constant([[1.0], [2.0], [3.0]]), tf.constant([2, 0, 1]), 3)
    assert seen == {0: [[1.0], [2.0]], 1: [], 2: [[3.0]]}
    assert result.numpy().tolist() == [[1.0], [2.0], [300.0]]


def test_static_shape_is_kept():
    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64)])
    def unknown_size(domain):
        routing = route_rows(domain, 3)
        combined = routing.combine(tf.cast(routing.domain, tf.float32))
        assert combined.shape.as_list() == [None]
        return combined

    assert unknown_size(tf.constant([1], tf.int64)).shape == [1]
    assert unknown_size(tf.constant([], tf.int64)).shape == [0]


def test_work_does_not_grow_with_the_number_of_domains():
    # Rows that pass a domain's function, in all: as many as the batch has, for 2 domains or 50.
    for num_domains in (2, 50):
        domain = np.random.default_rng(0).integers(0, num_domains, 64)
        passed = []
        routing = route(domain, num_domains)
        x = routing.dispatch(tf.ones([64, 1]))
        for_each_domain(
            lambda s, rows, passed=passed: passed.append(len(rows)) or rows,
            x,
            routing.rows_per_domain,
            num_domains,
        )
        assert sum(passed) == 64
