"""The losses of table 4 that take CovLoss's place: values by hand and in loops, gradients, and every model."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from pydantic import ValidationError

from models.config import CovLossConfig, ExpertLossConfig
from models.export import model_weights
from models.losses import EXPERT_LOSSES
from models.losses.cos_loss import cos_loss
from models.losses.dcorr_loss import dcorr_loss
from models.losses.dot_loss import dot_loss
from models.losses.importance_loss import importance_loss
from models.losses.ole_loss import ole_loss
from models.losses.trans5_loss import trans5_loss
from models.zoo import build_model
from tests.models.small_model import LAYOUT, batch, small_config, tensors
from tests.models.zoo_promises import gradients, many_rows, shaken

RNG = np.random.default_rng(0)
TRANSFORMATIONS = RNG.normal(size=(3, 4, 4)).astype(np.float32)
PURE = {
    "dot": dot_loss,
    "cos": cos_loss,
    "dcorr": dcorr_loss,
    "ole": ole_loss,
    "importance": importance_loss,
    "trans5": lambda x: trans5_loss(x, tf.constant(TRANSFORMATIONS)),
}


def slow_dot(p, q):
    return np.mean([np.dot(x, y) ** 2 for x, y in zip(p, q, strict=True)])


def slow_cos(p, q):
    return np.mean([abs(np.dot(x, y)) / np.linalg.norm(x) / np.linalg.norm(y) for x, y in zip(p, q, strict=True)])


def slow_dcorr(p, q):
    def centred(x):
        a = np.array([[np.linalg.norm(k - l) for l in x] for k in x])  # noqa: E741
        return a - a.mean(axis=0) - a.mean(axis=1)[:, None] + a.mean()

    a, b = centred(p), centred(q)
    return np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean()))


def slow_ole(p, q):
    rows, width = p.shape
    return (
        sum((sum(p[k, i] * q[k, j] for k in range(rows)) / rows) ** 2 for i in range(width) for j in range(width))
        / width**2
    )


def slow_importance(gates):
    importance = np.array([expert.sum() for expert in gates])
    return (importance.std() / importance.mean()) ** 2


def slow_trans5(p, q, w):
    terms = [(p @ w - q) ** 2, (q @ w.T - p) ** 2, abs(p @ w @ w.T - p), abs(q @ w.T @ w - q)]
    return sum(term.mean() for term in terms)


def slow(name, x):
    x = x.astype(np.float64)
    if name == "importance":
        return slow_importance(x)
    pairs = [(x[p], x[q]) for p in range(len(x)) for q in range(p)]
    if name == "trans5":
        return np.mean([slow_trans5(p, q, w) for (p, q), w in zip(pairs, TRANSFORMATIONS, strict=True)])
    return np.mean([{"dot": slow_dot, "cos": slow_cos, "dcorr": slow_dcorr, "ole": slow_ole}[name](*p) for p in pairs])


def value_and_gradient(name, x):
    x = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = PURE[name](x)
    return value.numpy(), tape.gradient(value, x).numpy()


@pytest.mark.parametrize(
    ("function", "x", "expected"),
    [
        # Of the docstrings.
        (dot_loss, [[[1, 2], [0, 1]], [[3, 0], [1, 1]]], 5.0),
        (cos_loss, [[[3, 4], [1, 0]], [[3, 0], [0, 2]]], 0.3),
        (cos_loss, [[[3, 4], [1, 0]], [[-3, 0], [0, 0]]], 0.3),
        (dcorr_loss, [[[0], [1]], [[3], [1]]], 1.0),
        (dcorr_loss, [[[0], [1]], [[3], [3]]], 0.0),
        # Width 1, three rows: a = [[0,1,2],[1,0,1],[2,1,0]], row means 1, 2/3, 1, mean 8/9; b the same of [0, 2, 0]:
        # [[0,2,0],[2,0,2],[0,2,0]], row means 2/3, 4/3, 2/3, mean 8/9.
        # A = [[-10,2,8],[2,-4,2],[8,2,-10]]/9, B = [[-4,8,-4],[8,-16,8],[-4,8,-4]]/9.
        # sum AB = (40+16-32+16+64+16-32+16+40)/81 = 144/81; AA = (100+4+64+4+16+4+64+4+100)/81 = 360/81; BB = 576/81.
        (dcorr_loss, [[[0], [1], [2]], [[0], [2], [0]]], (144 / (360 * 576) ** 0.5) ** 0.5),
        (ole_loss, [[[1, 2], [0, 1]], [[3, 0], [1, 1]]], 3.6875),
        # Orthogonal subspaces, whatever the sizes.
        (ole_loss, [[[5, 0], [5, 0]], [[1, 9], [-1, -9]]], 0.0),
        (importance_loss, [[[0.9], [0.7]], [[0.1], [0.3]]], 0.36),
        (importance_loss, [[[0.5], [0.5]], [[0.5], [0.5]]], 0.0),
        (lambda x: trans5_loss(x, tf.constant([[[2.0]]])), [[[3]], [[1]]], 38.0),
        # A turn by 90 degrees is an equivalent transformation.
        (lambda x: trans5_loss(x, tf.constant([[[0.0, 1], [-1, 0]]])), [[[-2, 1]], [[1, 2]]], 0.0),
    ],
)  # fmt: skip
def test_hand_worked(function, x, expected):
    assert function(tf.constant(x, tf.float32)).numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", PURE)
@pytest.mark.parametrize("rows", [2, 9, 40])
def test_same_as_loops(name, rows):
    x = RNG.normal(size=(3, rows, 4)) + 1
    x = np.abs(x) if name == "importance" else x
    assert value_and_gradient(name, x)[0] == pytest.approx(slow(name, x), rel=1e-4)


@pytest.mark.parametrize("name", PURE)
def test_gradient_is_the_slope(name):
    x = np.abs(RNG.normal(size=(3, 6, 4))) + 0.1
    _, gradient = value_and_gradient(name, x)
    for index in [(0, 0, 0), (1, 3, 2), (2, 5, 3)]:
        up, down = x.copy(), x.copy()
        up[index] += 1e-5
        down[index] -= 1e-5
        assert gradient[index] == pytest.approx((slow(name, up) - slow(name, down)) / 2e-5, rel=2e-3, abs=1e-5)


@pytest.mark.parametrize("name", PURE)
@pytest.mark.parametrize(
    "x",
    [np.zeros((3, 5, 4)), np.ones((3, 5, 4)), np.full((3, 1, 4), 2.0), np.zeros((3, 0, 4)), np.eye(5)[None, :, :4]
     * np.array([0, 1, 1])[:, None, None]],
    ids=["zeros", "constant", "one row", "no row", "one dead expert"],
)  # fmt: skip
def test_finite_where_there_is_nothing_to_compare(name, x):
    value, gradient = value_and_gradient(name, x)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("name", sorted(set(PURE) - {"importance", "trans5"}))
def test_one_expert_has_nothing_to_be_disentangled_from(name):
    assert PURE[name](tf.constant(RNG.normal(size=(1, 5, 4)), tf.float32)).numpy() == 0


def test_dcorr_does_not_see_a_turn_a_shift_or_a_scale():
    x = RNG.normal(size=(2, 30, 3))
    turn, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    expected = value_and_gradient("dcorr", x)[0]
    assert value_and_gradient("dcorr", [x[0], 3 * x[1] @ turn + 100])[0] == pytest.approx(expected, rel=1e-3)
    assert value_and_gradient("dcorr", [x[0], 3 * x[0] @ turn + 100])[0] == pytest.approx(1, rel=1e-3)


def test_every_name_of_the_config_is_registered():
    names = set(ExpertLossConfig.model_fields["name"].annotation.__args__)
    assert names == {*EXPERT_LOSSES, "none"} == {"cov", "none", *PURE}


@pytest.mark.parametrize("values", [{"alpha": 1.0}, {"name": "none", "alpha": 1.0}, {"name": "Dot"}])
def test_what_would_be_ignored_is_refused(values):
    with pytest.raises(ValidationError):
        ExpertLossConfig(**values)


def test_training_reports_the_loss_by_its_name():
    def reported(**changes):
        model = build_model(small_config(name="mmoe", **changes), LAYOUT)
        model.compile(optimizer=keras.optimizers.legacy.SGD(0.01))
        return model.train_on_batch(tensors(batch([0, 1, 2])), tf.ones([3]), return_dict=True)

    assert set(reported()) == {"loss", "loss/click", "loss/cov", "loss/regularization"}
    dot = reported(expert_loss=ExpertLossConfig(name="dot"))
    assert set(dot) == {"loss", "loss/click", "loss/dot", "loss/regularization"}
    assert dot["loss"] == pytest.approx(dot["loss/click"] + 0.1 * dot["loss/dot"], rel=1e-5)
    assert set(reported(expert_loss=ExpertLossConfig(name="none"))) == {"loss", "loss/click", "loss/regularization"}


def test_none_is_cov_loss_with_alpha_0():
    inputs, labels = many_rows([0, 1, 2])
    none = gradients(shaken("mmoe", expert_loss=ExpertLossConfig(name="none")), inputs, labels)
    zero = gradients(shaken("mmoe", cov_loss=CovLossConfig(alpha=0.0)), inputs, labels)
    for one, other in zip(none.values(), zero.values(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_a_loss_on_what_a_model_does_not_have_is_refused():
    with pytest.raises(ValueError, match="'shared_bottom' has no expert outputs for the loss 'dot'"):
        build_model(small_config(name="shared_bottom", expert_loss=ExpertLossConfig(name="dot")), LAYOUT)
    with pytest.raises(ValueError, match="'logistic_regression' has no gate weights for the loss 'importance'"):
        build_model(small_config(name="logistic_regression", expert_loss=ExpertLossConfig(name="importance")), LAYOUT)


def test_transformations_are_learned_and_not_exported():
    model = shaken("mmoe", expert_loss=ExpertLossConfig(name="trans5"))
    learned = model.expert_loss.transformations
    assert learned.shape == (6, 5, 5)
    found = gradients(model, *many_rows([0, 1, 2]))
    assert np.abs(found[learned.ref()]).max() > 0
    assert learned.ref() not in {variable.ref() for variable in model_weights(model)}
