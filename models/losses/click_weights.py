"""What clicks and non-clicks weigh in the click loss, in each domain, and what that does to the probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from models.config import ModelConfig, PositiveWeight


class ClickWeights(NamedTuple):
    """Factors of the rows' weights in the click loss.

    Attributes:
      of_labels: float [S, 2]. What a row of a domain weighs with the label 0 and with 1.
      log_odds: float [S]. What the weights add to the logit of a domain that is trained with them: a model that says p
        of rows of which the clicks weigh r times as much as the others means the odds r * p / (1 - p). Taken out
        again, the probabilities are those of the log (King & Zeng, 2001, prior correction).
    """

    of_labels: np.ndarray
    log_odds: np.ndarray


def click_weights(config: ModelConfig, domains: Sequence[str], counts: np.ndarray | None) -> ClickWeights:
    """The weights of a model's config.

        balanced:            n / (2 n_y) for label y; n are the training rows, n_y those with the label
        balanced_by_domain:  the same of each domain's own rows

    So clicks and non-clicks weigh the same, and a training row weighs 1 in the mean, as scikit-learn's
    `class_weight="balanced"` has it.

    For example a domain with 10 clicks and 30 others has 40 / 60 = 0.667 and 40 / 20 = 2, and log_odds log(3). A domain
    whose rows all have one label has nothing to balance, and is left as it is.

    Args:
      config: `positive_weight`, `domain_weights` and `calibrate_positive_weight`.
      domains: Names of the domains, in the order of the model's towers.
      counts: int [S, 2]. Training rows of each domain and label; needed for what is balanced only.

    Raises:
      ValueError: A name is no domain's, or nothing was counted.
    """
    unknown = sorted(set(config.domain_weights) - set(domains))
    if unknown:
        raise ValueError(f"`domain_weights`: {unknown[0]!r} is no domain; known are {', '.join(domains)}")
    of_labels = _label_weights(config.positive_weight, len(domains), counts)
    log_odds = np.log(of_labels[:, 1] / of_labels[:, 0])
    of_domains = np.array([config.domain_weights.get(domain, 1.0) for domain in domains])
    if not config.calibrate_positive_weight:
        log_odds = np.zeros_like(log_odds)
    return ClickWeights(of_labels * of_domains[:, None], log_odds)


def _label_weights(weight: PositiveWeight, num_domains: int, counts: np.ndarray | None) -> np.ndarray:
    if not isinstance(weight, str):
        return np.tile([1.0, weight], (num_domains, 1))
    if counts is None:
        raise ValueError(f"`positive_weight`={weight} needs the numbers of training rows. Received: `counts`=None")
    counts = np.asarray(counts, np.float64)
    if weight == "balanced":
        counts = np.tile(counts.sum(axis=0), (num_domains, 1))
    rows = counts.sum(axis=1, keepdims=True)
    both = (counts > 0).all(axis=1, keepdims=True)
    return np.where(both, rows / (2 * np.maximum(counts, 1)), 1.0)
