"""People, videos and impressions of a log in KuaiRand's layout, drawn part by part so that memory stays bounded.

Like the demo log's world in small: a user and a video have a taste that holds in every tab and one that some tabs
turn round, and both show in the features. What is held is some bytes a video; impressions are drawn when asked for.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from data.demo_world import DOMAINS

SEGMENTS = 7
TAGS = 60
# KuaiRand's other tabs, 1 % of the rows together: a log has domains that no model is asked for.
OTHER_TABS = (3, 5, 7, 8, 9, 10, 11, 12, 13, 14)
_OTHER_SHARE = 0.01
_OTHER_CLICK_RATE = 0.3
_AFFINITY = 0.8
_CALIBRATION_ROWS = 20_000


@dataclasses.dataclass(frozen=True)
class Impressions:
    """Some impressions, one entry a row in every array.

    Attributes:
      user: Int64 [N].
      video: Int64 [N].
      tab: Int64 [N].
      click: Int64 [N], 0 or 1.
    """

    user: np.ndarray
    video: np.ndarray
    tab: np.ndarray
    click: np.ndarray


class KuaiRandWorld:
    """Who clicks on what, where.

    Attributes:
      shared_segment: Int8 [users], group of the taste that holds everywhere.
      conflict_segment: Int8 [users], group of the taste that some tabs turn round.
      bias: Float32 [users], readiness to click.
      activity: Float64 [users], how often each comes, 1 on average.
      author: Int32 [videos].
      tag: Int8 [videos], the subject.
      style: Int16 [videos], the kind of video on which tabs disagree.
      duration_ms: Int32 [videos], 0 where unknown.
    """

    def __init__(self, seed: int, users: int, videos: int) -> None:
        """Draws the people and the videos.

        Args:
          seed: Seed of chance.
          users: Number of users.
          videos: Number of videos.
        """
        rng = np.random.default_rng([seed, 0])
        self.shared_segment = rng.integers(SEGMENTS, size=users, dtype=np.int8)
        self.conflict_segment = rng.integers(SEGMENTS, size=users, dtype=np.int8)
        self.bias = rng.normal(0.0, 0.4, users).astype(np.float32)
        self.activity = rng.lognormal(-0.125, 0.5, users)
        authors, self._styles = max(1, videos // 5), min(1000, max(1, videos // 50))
        self.author = rng.integers(authors, size=videos, dtype=np.int32)
        self.tag = (self.author % TAGS).astype(np.int8)  # An author keeps to one subject.
        self.style = rng.integers(self._styles, size=videos, dtype=np.int16)
        duration = np.exp(
            rng.normal(
                10.2,
                0.9,
                videos,
            ).astype(np.float32)
        )  # A median of 27 seconds.
        self.duration_ms = np.where(rng.random(videos, np.float32) < 0.03, 0, duration).astype(np.int32)
        self._quality = rng.normal(0.0, 0.4, videos).astype(np.float32)
        self._shared = rng.normal(0.0, _AFFINITY, (SEGMENTS, TAGS)).astype(np.float32)
        self._conflict = rng.normal(0.0, _AFFINITY, (SEGMENTS, self._styles)).astype(np.float32)
        self._comes = np.cumsum(self.activity) / self.activity.sum()
        # Ranks of popularity are scattered over the ids by a step that meets every one.
        self._step = next(
            step for step in range(int(videos * 0.618) | 1, 2 * videos + 3) if math.gcd(step, videos) == 1
        )
        shares = np.array([domain.share for domain in DOMAINS])
        self._tabs = np.array([*(domain.tab for domain in DOMAINS), *OTHER_TABS])
        others = np.full(len(OTHER_TABS), _OTHER_SHARE / len(OTHER_TABS))
        self._tab_shares = np.concatenate([shares / shares.sum() * (1 - _OTHER_SHARE), others])
        self._signs = np.array([*(domain.sign for domain in DOMAINS), *([0.0] * len(OTHER_TABS))], np.float32)
        rates = [*(domain.click_rate for domain in DOMAINS), *([_OTHER_CLICK_RATE] * len(OTHER_TABS))]
        self._intercepts = self._calibrate(rng, rates)

    def __len__(self) -> int:
        """Number of videos."""
        return len(self.author)

    def draw(self, rng: np.random.Generator, rows: int, at_random: bool = False) -> Impressions:
        """Draws impressions.

        Args:
          rng: Source of chance.
          rows: How many.
          at_random: Whether every video is as likely as any other.
        """
        user, video = self._pairs(rng, rows, at_random)
        place = np.searchsorted(np.cumsum(self._tab_shares), rng.random(rows), side="right")
        place = np.minimum(place, len(self._tabs) - 1)
        odds = self._odds(user, video, self._signs[place]) + self._intercepts[place]
        click = rng.random(rows, np.float32) < 1 / (1 + np.exp(-odds))
        return Impressions(user, video, self._tabs[place], click.astype(np.int64))

    def _pairs(self, rng: np.random.Generator, rows: int, at_random: bool) -> tuple[np.ndarray, np.ndarray]:
        user = np.minimum(np.searchsorted(self._comes, rng.random(rows)), len(self._comes) - 1)
        # Half of the impressions go to a seventh of the videos, and most videos are shown a few times.
        rank = (rng.random(rows) ** (1.0 if at_random else 2.8) * len(self)).astype(np.int64)
        return user, rank * self._step % len(self)

    def _odds(self, user: np.ndarray, video: np.ndarray, sign: np.ndarray) -> np.ndarray:
        odds = self.bias[user] + self._quality[video]
        odds += self._shared[self.shared_segment[user], self.tag[video]]
        odds += sign * self._conflict[self.conflict_segment[user], self.style[video]]
        return odds

    def _calibrate(self, rng: np.random.Generator, rates: list[float]) -> np.ndarray:
        """What to add to each tab's log-odds so that clicks come at its rate."""
        user, video = self._pairs(rng, _CALIBRATION_ROWS, at_random=False)
        found = []
        for sign, rate in zip(self._signs, rates, strict=True):
            odds = self._odds(user, video, np.full(len(user), sign))
            low, high = -20.0, 20.0
            for _ in range(30):
                middle = (low + high) / 2
                low, high = (low, middle) if (1 / (1 + np.exp(-odds - middle))).mean() > rate else (middle, high)
            found.append(low)
        return np.array(found, np.float32)
