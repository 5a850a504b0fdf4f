import numpy as np
import pytest
import tensorflow as tf

from models.metrics.domain_summary import per_domain
from models.metrics.keras_metric import DomainMetrics


def batches():
    rng = np.random.default_rng(6)
    for size in (40, 1, 300):
        yield (
            rng.integers(0, 2, size),
            np.array([b"u%d" % user for user in rng.integers(0, 9, size)], object),
            np.array(["a", "b"])[rng.integers(0, 2, size)],
            rng.random(size).astype(np.float32),
        )


@pytest.mark.parametrize("in_graph", [False, True])
def test_agrees_with_the_function_in_eager_mode_and_in_a_graph(in_graph):
    metric = DomainMetrics(["b", "a", "c"])

    def update(label, user, domain, score):
        metric.update_state({"label": label, "user": user, "domain": domain}, score)

    step = tf.function(update, reduce_retracing=True) if in_graph else update
    for batch in batches():
        step(*map(tf.constant, batch))
    labels, users, domains, scores = map(np.concatenate, zip(*batches(), strict=True))
    expected = per_domain(labels, scores, users, domains, ["b", "a", "c"])
    found = metric.summary()
    assert list(found["domains"]) == ["b", "a", "c"]
    for name, record in [("overall", expected["overall"]), *expected["domains"].items()]:
        ours = found["overall"] if name == "overall" else found["domains"][name]
        assert ours == {
            field: value if value is None else pytest.approx(value, abs=1e-9) for field, value in record.items()
        }
    result = metric.result()
    assert float(result["gauc/domain_a"]) == expected["domains"]["a"]["gauc"]
    assert not any("domain_c" in name for name in result)
    metric.reset_state()
    assert metric.result() == {} and metric.summary()["overall"]["rows"] == 0


def test_config_round_trip_and_refusals():
    metric = DomainMetrics.from_config(DomainMetrics(["x"], min_group_rows=3).get_config())
    assert (metric.get_config()["domains"], metric.get_config()["min_group_rows"]) == (["x"], 3)
    row = {"label": [1], "user": [1], "domain": ["x"]}
    with pytest.raises(ValueError, match="takes no `sample_weight`"):
        metric.update_state(row, [0.5], sample_weight=[2.0])
    with pytest.raises(Exception, match="1 of 1 scores are NaN"):
        metric.update_state(row, [np.nan])
