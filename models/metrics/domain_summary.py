"""The record of all rows and of each domain's rows: what metrics.json holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypedDict

import numpy.typing as npt

from models.metrics.bootstrap import NO_BOOTSTRAP, Bootstrap
from models.metrics.judgement import Judgement, judge
from models.metrics.row_checks import column
from models.metrics.slices import name_order, one_slice, slice_name, slices_by
from models.metrics.summary import EMPTY, Summary

OVERALL = "overall"
DOMAINS = "domains"


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
    bootstrap: Bootstrap = NO_BOOTSTRAP,
    min_group_rows: int = 1,
) -> DomainSummary:
    """Returns the record of all rows and the record of each domain's rows.

    A domain's AUC is over the pairs within the domain, and its gAUC over each user's rows within the domain.

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      users: Array of shape [N] or [N, 1], the user (or another group) of each row: integers, text or bytes.
      domains: Array of shape [N] or [N, 1], the domain of each row: integers, text or bytes.
      expected: Domains that must have a record, in this order, if need be one of zero rows. Domains that
        have rows and are not among them follow, shorter names first, so that numbers ascend.
      bootstrap: How intervals are found; none by default.
      min_group_rows: Rows that a user needs, in the domain, to count towards its gAUC.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a user or domain is missing, or the lengths
        differ.
    """
    rows = column(labels, "labels").size
    divisions = {OVERALL: one_slice(rows), DOMAINS: slices_by(domains, rows)}
    return domain_summary(judge(labels, scores, users, divisions, bootstrap, min_group_rows), expected)


def summarize(
    labels: npt.ArrayLike,
    scores: npt.ArrayLike,
    users: npt.ArrayLike,
    bootstrap: Bootstrap = NO_BOOTSTRAP,
    min_group_rows: int = 1,
) -> Summary:
    """Returns the record of one set of rows.

    Args:
      labels: Array of shape [N] or [N, 1] of 0 and 1.
      scores: Array of shape [N] or [N, 1]; higher means more likely 1.
      users: Array of shape [N] or [N, 1], the user (or another group) of each row: integers, text or bytes.
      bootstrap: How intervals are found; none by default.
      min_group_rows: Rows that a user needs to count towards the gAUC.

    Raises:
      ValueError: If a score is NaN, a label is not 0 or 1, a user is missing, or the lengths differ.
    """
    rows = column(labels, "labels").size
    judgement = judge(labels, scores, users, {OVERALL: one_slice(rows)}, bootstrap, min_group_rows)
    return overall(judgement)


def domain_summary(judgement: Judgement, expected: Iterable[object] = ()) -> DomainSummary:
    """The records of a judgement with the divisions `overall` and `domains`.

    Args:
      judgement: What was found.
      expected: Domains that must have a record, in this order.
    """
    found = {name: judged.summary for name, judged in judgement[DOMAINS].items()}
    return DomainSummary(overall=overall(judgement), domains=in_order(found, expected))


def overall(judgement: Judgement) -> Summary:
    """The record of all rows, one of zero rows where there are none."""
    found = judgement[OVERALL]
    return found[OVERALL].summary if found else EMPTY.copy()


def in_order(found: Mapping[str, Summary], expected: Iterable[object]) -> dict[str, Summary]:
    """Returns the records in the order of `expected`, empty ones where a domain has no rows, then the others.

    Args:
      found: Records by domain.
      expected: Domains in the order wanted.
    """
    names = [slice_name(domain) for domain in expected]
    ordered = {name: found.get(name, EMPTY.copy()) for name in names}
    return ordered | {name: found[name] for name in sorted(found, key=name_order) if name not in names}
