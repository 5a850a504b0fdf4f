"""The video feature files of a log in KuaiRand's layout, in parts: the basic one and the statistic one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.kuairand_world import TAGS, KuaiRandWorld

# The columns of video_features_statistic besides video_id and counts.
STATISTICS = (
    "show_cnt show_user_num play_cnt play_user_num play_duration complete_play_cnt complete_play_user_num "
    "valid_play_cnt valid_play_user_num long_time_play_cnt long_time_play_user_num short_time_play_cnt "
    "short_time_play_user_num play_progress comment_stay_duration like_cnt like_user_num click_like_cnt "
    "double_click_cnt cancel_like_cnt cancel_like_user_num comment_cnt comment_user_num direct_comment_cnt "
    "reply_comment_cnt delete_comment_cnt delete_comment_user_num comment_like_cnt comment_like_user_num "
    "follow_cnt follow_user_num cancel_follow_cnt cancel_follow_user_num share_cnt share_user_num download_cnt "
    "download_user_num report_cnt report_user_num reduce_similar_cnt reduce_similar_user_num collect_cnt "
    "collect_user_num cancel_collect_cnt cancel_collect_user_num direct_comment_user_num reply_comment_user_num "
    "share_all_cnt share_all_user_num outsite_share_all_cnt"
).split()

_UPLOADS = ("LongImport", "Web", "ShortImport", "Kmovie", "LongPicture", "UNKNOWN")


def basic_features(world: KuaiRandWorld, seed: int, chunk: int) -> Iterator[pa.Table]:
    """KuaiRand's video_features_basic; a video's id is its row.

    Args:
      world: The videos.
      seed: Seed of chance.
      chunk: Rows of a part.
    """
    for start in range(0, len(world), chunk):
        rng = np.random.default_rng([seed, 2, start])
        video = np.arange(start, min(start + chunk, len(world)))
        rows, tag, duration = len(video), world.tag[video], world.duration_ms[video]
        portrait = rng.random(rows) < 0.75
        second = rng.integers(TAGS, size=rows)
        both = pc.binary_join_element_wise(_text(tag), _text(second), ",")
        tags = pc.if_else(pa.array(rng.random(rows) < 0.2), both, _text(tag))
        yield pa.table(
            {
                "video_id": video,
                "author_id": 1000 + world.author[video].astype(np.int64) * 37,
                "video_type": _choice(rng, ("NORMAL", "AD", "UNKNOWN"), (0.985, 0.01, 0.005), rows),
                "upload_dt": _choice(rng, ("2022-04-09", "2022-04-10", "2022-04-11"), (0.37, 0.45, 0.18), rows),
                "upload_type": _choice(rng, _UPLOADS, (0.39, 0.32, 0.12, 0.12, 0.03, 0.02), rows),
                "visible_status": pa.array(["0.0"]).take(pa.array(np.zeros(rows, np.int64))),
                "video_duration": pc.if_else(
                    pa.array(duration > 0), pc.binary_join_element_wise(_text(duration), "0", "."), None
                ),
                "server_width": pc.if_else(pa.array(portrait), "720.0", "1280.0"),
                "server_height": pc.if_else(pa.array(portrait), "1280.0", "720.0"),
                "music_id": np.where(
                    rng.random(rows) < 0.03, 0, 5_000_000_000 + world.style[video].astype(np.int64) * 104_729
                ),
                "music_type": _choice(rng, ("9.0", "4.0", "8.0", None), (0.86, 0.1, 0.01, 0.03), rows),
                "tag": pc.if_else(pa.array(rng.random(rows) < 0.01), None, tags),
            }
        )


def statistic_features(world: KuaiRandWorld, seed: int, chunk: int) -> Iterator[pa.Table]:
    """KuaiRand's video_features_statistic: means a day and scene, over the whole period.

    Args:
      world: The videos.
      seed: Seed of chance.
      chunk: Rows of a part.
    """
    for start in range(0, len(world), chunk):
        rng = np.random.default_rng([seed, 3, start])
        video = np.arange(start, min(start + chunk, len(world)))
        shows = rng.lognormal(3.0, 1.5, len(video))
        columns: dict[str, np.ndarray] = {"video_id": video, "counts": rng.integers(1, 70, len(video))}
        for number, name in enumerate(STATISTICS):
            # Later columns are of rarer events.
            columns[name] = np.round(shows * rng.random(len(video)) / (1 + number), 3)
        yield pa.table(columns)


def _text(numbers: np.ndarray) -> pa.Array:
    return pa.array(numbers.astype(np.int64)).cast(pa.string())


def _choice(rng: np.random.Generator, values: Sequence[str | None], shares: Sequence[float], rows: int) -> pa.Array:
    drawn = np.searchsorted(np.cumsum(shares)[:-1], rng.random(rows), side="right")
    return pa.array(values, pa.string()).take(pa.array(drawn))
