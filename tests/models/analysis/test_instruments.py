import numpy as np
import pytest
from scipy.stats import ortho_group, spearmanr
from sklearn.metrics import mutual_info_score

from models.analysis.diversity import conflict_sets, diversity_index
from models.analysis.entanglement import interest_entanglement
from models.analysis.expert_covariance import (
    correlation,
    dimension_covariance,
    expert_covariance,
    off_diagonal_mean,
)
from models.analysis.field_correlation import field_correlation, mutual_information
from models.analysis.gate_choices import gate_choices
from models.analysis.spectrum import abundance, frequency_groups, information_abundance, singular_values


@pytest.mark.parametrize("shape", [(50, 4), (4, 50), (4, 4)])
def test_information_abundance_of_a_matrix_with_known_spectrum(shape):
    left, right = (ortho_group.rvs(size, random_state=1) for size in shape)
    spectrum = np.array([8.0, 4.0, 2.0, 2.0])
    matrix = left[:, :4] @ np.diag(spectrum) @ right[:, :4].T
    np.testing.assert_allclose(singular_values(matrix)[:4], spectrum, rtol=1e-9)
    assert information_abundance(matrix) == pytest.approx(16 / 8)
    # It knows no scale and no order of rows.
    assert information_abundance(-7 * matrix[::-1]) == pytest.approx(2)


def test_information_abundance_at_its_ends():
    assert information_abundance(np.ones((9, 3))) == pytest.approx(1)  # all on one line
    assert information_abundance(5 * np.eye(6)) == pytest.approx(6)
    assert information_abundance(np.zeros((4, 2))) is None
    assert abundance(np.zeros((0, 3))) == {
        "information_abundance": None, "rows": 0, "width": 3, "singular_values": []
    }  # fmt: skip
    with pytest.raises(ValueError, match="holds values that are not finite"):
        information_abundance(np.array([[1.0, np.nan]]))
    with pytest.raises(ValueError, match="two axes"):
        information_abundance(np.ones(3))


def test_frequency_groups_hold_thirds_of_the_occurrences():
    groups = frequency_groups(np.array([6, 5, 10, 0, 4, 5]))
    # descending: id 2 (before 0), id 0 (10), id 1 (16), id 5 (21), id 4 (26); thirds end at 10 and 20
    assert groups.tolist() == [1, 1, 0, -1, 2, 2]
    assert frequency_groups(np.zeros(3, int)).tolist() == [-1, -1, -1]


def test_a_diversity_index_worked_by_hand():
    # Two domains' experts on four rows. Of the 8 norms the upper quartile's value is 3, the lower's 1.
    sdem = np.array([[3.0, 3.0, 1.0, 1.0], [1.0, 2.0, 3.0, 1.0]])
    # top = quantile .75 of {1,1,1,1,2,3,3,3} = 3 (place 5.25), bottom = quantile .25 = 1 (place 1.75)
    conflicts = conflict_sets(sdem)
    # D(0, 1): expert 0 at least 3, expert 1 at most 1: row 0. D(1, 0): row 2.
    assert np.argwhere(conflicts).tolist() == [[0, 1, 0], [1, 0, 2]]
    # A model of three experts; thresholds of its 12 norms: .75 -> place 8.25 of the sorted, .25 -> place 2.75
    # sorted: 0 0 0 1 5 5 5 5 9 9 9 9 -> top 9, bottom 0 + .75 * 1 = .75
    model = np.array([[9.0, 5.0, 5.0, 0.0], [0.0, 5.0, 9.0, 9.0], [5.0, 1.0, 9.0, 0.0]])
    found = diversity_index(conflicts, model)
    assert (found["tau_top"], found["tau_bottom"]) == (9.0, 0.75)
    # Row 0: expert 0 above, expert 1 below: told apart. Row 2: two above, none below: not.
    assert found["pairs"] == [[None, 1.0], [0.0, None]]
    assert found["mean"] == 0.5
    assert found["conflicts"] == [[0, 1], [1, 0]]
    # SDEM itself, by its own experts: told apart everywhere.
    own = diversity_index(conflicts, sdem, domain_bound=True)
    assert own["pairs"] == [[None, 1.0], [1.0, None]] and own["mean"] == 1.0
    # Scale changes nothing: thresholds are quantiles of the model's own norms.
    assert diversity_index(conflicts, 1000 * model)["pairs"] == found["pairs"]


def test_one_expert_cannot_disagree_with_itself():
    conflicts = np.zeros((2, 2, 3), bool)
    conflicts[0, 1] = True
    assert diversity_index(conflicts, np.ones((1, 3)))["mean"] == 0.0
    assert diversity_index(np.zeros((2, 2, 3), bool), np.ones((1, 3)))["mean"] is None
    with pytest.raises(ValueError, match=r"`norms` should be of shape \[2, 3\]. Received: \[3, 3\]"):
        diversity_index(conflicts, np.ones((3, 3)), domain_bound=True)


def test_covariance_against_numpy_and_by_hand():
    outputs = np.random.default_rng(0).normal(size=(3, 40, 2))
    flat = np.concatenate(list(outputs), axis=1)
    np.testing.assert_allclose(dimension_covariance(outputs), np.cov(flat.T, bias=True), atol=1e-12)
    np.testing.assert_allclose(correlation(dimension_covariance(outputs)), np.corrcoef(flat.T), atol=1e-12)
    # One dimension each: -1, 1 and 2, -2 on two rows: variances 1 and 4, covariance -2.
    hand = np.array([[[-1.0], [1.0]], [[2.0], [-2.0]]])
    assert expert_covariance(hand).tolist() == [[1.0, 2.0], [2.0, 4.0]]
    assert off_diagonal_mean(expert_covariance(hand)) == 2.0
    assert off_diagonal_mean(np.ones((1, 1))) is None
    # A dimension that does not vary has no correlation, and no NaN.
    assert correlation(np.diag([1.0, 0.0])).tolist() == [[1.0, 0.0], [0.0, 0.0]]


def test_gate_choices_by_hand():
    # two experts, three rows, one element; domain 1 has no row
    gates = np.array([[[0.9], [0.5], [0.2]], [[0.1], [0.5], [0.8]]])
    zero, one, two = gate_choices(gates, np.array([0, 0, 2]), 3)
    assert one is None
    np.testing.assert_allclose(zero["weights"], [0.7, 0.3])
    assert zero["first_choice"] == [1.0, 0.0] and zero["rows"] == 2
    assert two["first_choice"] == [0.0, 1.0]
    assert two["entropy"] == pytest.approx(-(0.2 * np.log(0.2) + 0.8 * np.log(0.8)))


def test_equal_spaces_are_entangled_and_independent_ones_are_not():
    rng = np.random.default_rng(1)
    users, items, labels = rng.normal(size=(2, 4_000, 3)), rng.normal(size=(2, 4_000, 3)), rng.integers(0, 2, 4_000)
    apart = interest_entanglement(users, items, labels)
    assert abs(apart["mean"]) < 0.05
    same = interest_entanglement(np.stack([users[0], 2 * users[0]]), np.stack([items[0], 2 * items[0]]), labels)
    assert same["mean"] == pytest.approx(1) and same["clicked"][1] == pytest.approx(2 * same["clicked"][0])
    constant = interest_entanglement(np.zeros((2, 5, 1)), np.ones((2, 5, 1)), np.zeros(5, int))
    assert constant["mean"] is None and constant["clicked"] == [None, None] and constant["skipped"] == [1.0, 1.0]


def test_mutual_information_and_field_correlation():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 3_000)
    ids = np.stack([labels, rng.integers(0, 3, 3_000), np.zeros(3_000, int)], axis=1)
    plain = mutual_info_score(ids[:, 1] % 2, labels)
    # Miller and Madow: (2 - 1 + 2 - 1 - (4 - 1)) / 2N is added
    assert mutual_information(ids[:, 1] % 2, labels) == pytest.approx(max(0, plain - 1 / 6_000))
    assert mutual_information(labels, labels) == pytest.approx(np.log(2), abs=0.01)
    assert mutual_information(np.zeros(0, int), np.zeros(0, int)) == 0.0
    found = field_correlation(ids, labels, rng.normal(size=(3_000, 3, 4)))
    lower = np.tril_indices(3, -1)
    information, strength = (np.array(found[name])[lower] for name in ("information", "strength"))
    assert found["rank_correlation"] == pytest.approx(spearmanr(information, strength).statistic)
