"""The record of all rows and of each domain's rows: what metrics.json holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from models.metrics.group_codes import group_codes
from models.metrics.grouped_auc import weighted_mean_auc
from models.metrics.log_loss import row_losses
from models.metrics.pair_counts import PairCounts, count_pairs
from models.metrics.row_checks import check_rows
from models.metrics.score_ranks import score_ranks
from models.metrics.summary import Summary, record


class DomainSummary(TypedDict):
    """Records of all rows and of each domain, by the domain's value as text."""

    overall: Summary
    domains: dict[str, Summary]


def per_domain(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    users: npt.ArrayLike,
    domains: npt.ArrayLike,
    expected: Iterable[object] = (),
) -> DomainSummary:
    """Returns the record of all rows and the record of each domain's rows.

    A domain's AUC is over the pairs within the domain, and its gAUC over each user's rows within the
    domain. Four sorts serve any number of domains.

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      users: Array of shape [N] or [N, 1], the user of each row: integers, text or bytes.
      domains: Array of shape [N] or [N, 1], the domain of each row: integers, text or bytes.
      expected: Domains that must have a record, in this order, if need be one of zero rows. Domains that
        have rows and are not among them follow, shorter names first, so that numbers ascend.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a user or domain is missing, or the lengths
        differ.
    """
    label_column, score_column = check_rows(labels, scores)
    user_codes, user_keys = group_codes(users, label_column.size)
    domain_codes, domain_keys = group_codes(domains, label_column.size)
    users_count, domains_count = len(user_keys), len(domain_keys)
    ranks = score_ranks(score_column)

    everything = count_pairs(label_column, ranks)
    by_user = count_pairs(label_column, ranks, user_codes, users_count)
    by_domain = count_pairs(label_column, ranks, domain_codes, domains_count)
    # Numbers of (domain, user), domain first. With gaps between ids most would stand for nobody: then
    # number those that occur.
    pairs = domain_codes * users_count + user_codes
    if domains_count * users_count <= max(4 * label_column.size, 1024):
        pair_keys = np.arange(domains_count * users_count)
    else:
        pair_keys, pairs = np.unique(pairs, return_inverse=True)
    by_domain_and_user = count_pairs(label_column, ranks, pairs, len(pair_keys))

    losses = np.bincount(domain_codes, row_losses(label_column, score_column), domains_count)
    predictions = np.bincount(domain_codes, score_column, domains_count)
    domain_aucs = by_domain.auc()
    # Pair keys ascend, so each domain's (domain, user) groups lie side by side.
    bounds = np.searchsorted(pair_keys, np.arange(domains_count + 1) * users_count)
    found: dict[str, Summary] = {}
    for d in np.flatnonzero(by_domain.rows):
        found[domain_name(domain_keys[d])] = record(
            auc=float(domain_aucs[d]),
            gauc=weighted_mean_auc(PairCounts(*(field[bounds[d] : bounds[d + 1]] for field in by_domain_and_user))),
            positives=int(by_domain.positives[d]),
            loss_sum=float(losses[d]),
            score_sum=float(predictions[d]),
        )
    overall = record(
        auc=float(everything.auc()[0]),
        gauc=weighted_mean_auc(by_user),
        positives=int(everything.positives[0]),
        loss_sum=float(losses.sum()),
        score_sum=float(predictions.sum()),
    )
    return DomainSummary(overall=overall, domains=in_order(found, expected))


def in_order(found: dict[str, Summary], expected: Iterable[object]) -> dict[str, Summary]:
    """Returns the records in the order of `expected`, empty ones where a domain has no rows, then the others.

    Args:
      found: Records by domain.
      expected: Domains in the order wanted.
    """
    names = [domain_name(domain) for domain in expected]
    nothing = weighted_mean_auc(PairCounts(*np.zeros((3, 0), np.int64)))
    empty = record(auc=np.nan, gauc=nothing, positives=0, loss_sum=0.0, score_sum=0.0)
    ordered = {name: found.get(name, empty.copy()) for name in names}
    return ordered | {
        name: found[name] for name in sorted(found, key=lambda name: (len(name), name)) if name not in names
    }


def domain_name(domain: object) -> str:
    """Returns a domain's value as text: what metrics.json and every report call it."""
    return domain.decode("utf-8", "backslashreplace") if isinstance(domain, bytes) else str(domain)
