"""The people and the videos of the demo log: their hidden tastes, and the domains that turn some around.

Every user and every video has a taste of two parts. The shared part pulls the same way in every domain, the
conflicting part the other way in some. Both show, blurred, in the features (`demo_features.py`), so that a
model can learn them from a feature where an id is too rare. A model that ignores the domain learns the
majority's direction.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from data.demo_features import Table, item_table, user_table

_SEGMENTS = 7
_TAGS = 60
_DIMENSIONS = 4


@dataclasses.dataclass(frozen=True)
class Domain:
    """A tab of the app.

    Attributes:
      tab: Its number in the log.
      share: Rows, relative to the other domains: millions of impressions in the paper's data set.
      click_rate: Share of impressions that are clicked.
      sign: Direction in which the conflicting tastes pull.
    """

    tab: int
    share: float
    click_rate: float
    sign: float


DOMAINS = (
    Domain(tab=0, share=2.4, click_rate=0.26, sign=1.0),
    Domain(tab=1, share=7.8, click_rate=0.46, sign=1.0),
    Domain(tab=2, share=0.4, click_rate=0.40, sign=-1.0),
    Domain(tab=4, share=0.9, click_rate=0.54, sign=0.0),
    Domain(tab=6, share=0.2, click_rate=0.24, sign=-1.0),
)


@dataclasses.dataclass(frozen=True)
class Side:
    """All users, or all videos.

    Attributes:
      weight: Float [N], how often each occurs, relative to the others.
      bias: Float [N], log-odds of a click that each adds in every domain.
      conflict_bias: Float [N], the same, turned by the domain's sign.
      shared: Float [N, K], the taste that holds in every domain.
      conflict: Float [N, K], the taste that is turned by the domain's sign.
      table: The columns of the feature file, as text.
    """

    weight: np.ndarray
    bias: np.ndarray
    conflict_bias: np.ndarray
    shared: np.ndarray
    conflict: np.ndarray
    table: Table

    def __len__(self) -> int:
        """Number of users or videos."""
        return len(self.weight)


def make_users(rng: np.random.Generator, count: int) -> Side:
    """Draws users: a segment for either taste, a readiness to click, an activity."""
    shared_segment = rng.integers(_SEGMENTS, size=count)
    conflict_segment = rng.integers(_SEGMENTS, size=count)
    bias = rng.normal(0.0, 0.4, count)
    activity = rng.lognormal(-0.125, 0.5, count)
    return Side(
        weight=activity,
        bias=bias,
        conflict_bias=np.zeros(count),
        shared=_tastes(rng, shared_segment),
        conflict=_tastes(rng, conflict_segment),
        table=user_table(rng, shared_segment, conflict_segment, bias, activity),
    )


def make_items(rng: np.random.Generator, count: int) -> Side:
    """Draws videos: an author with a subject, a style on which domains disagree, a duration."""
    authors, styles = max(1, count // 5), max(1, count // 50)
    author = rng.integers(authors, size=count)
    # An author keeps to one subject, mostly.
    tag = np.where(rng.random(count) < 0.8, _drawn_tags(rng, authors)[author], _drawn_tags(rng, count))
    style = rng.integers(styles, size=count)
    length = rng.normal(0.0, 1.0, count)
    duration_ms = np.exp(10.2 + 0.9 * length).astype(np.int64)  # A median of 27 seconds.
    duration_ms[rng.random(count) < 0.03] = 0
    own, by_author, by_tag = (rng.normal(0.0, 1.0, n) for n in (count, authors, _TAGS))
    conflict_own, by_style = rng.normal(0.0, 1.0, count), rng.normal(0.0, 1.0, styles)
    return Side(
        # Zipf with a flat head: nobody is shown the most popular video every day.
        weight=(rng.permutation(count) + 20.0) ** -0.9,
        bias=0.25 * own + 0.3 * by_author[author] + 0.3 * by_tag[tag],
        # Long videos do well where people search and badly where they scroll.
        conflict_bias=0.15 * conflict_own + 0.4 * by_style[style] - 0.4 * length,
        shared=_tastes(rng, tag),
        conflict=_tastes(rng, tag),
        table=item_table(rng, author, tag, style, duration_ms),
    )


def _tastes(rng: np.random.Generator, group: np.ndarray) -> np.ndarray:
    """Tastes [N, K] around that of the group; the product of a user's and a video's has variance 1."""
    centres = rng.normal(0.0, 1.0, (int(group.max()) + 1, _DIMENSIONS))
    own = rng.normal(0.0, 1.0, (len(group), _DIMENSIONS))
    tastes: np.ndarray = (0.85 * centres[group] + 0.53 * own) / _DIMENSIONS**0.25
    return tastes


def _drawn_tags(rng: np.random.Generator, count: int) -> np.ndarray:
    weights = 1.0 / (np.arange(_TAGS) + 3.0)
    return rng.choice(_TAGS, size=count, p=weights / weights.sum())
