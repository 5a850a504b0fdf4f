"""The record of more rows than are held: of all rows from their histogram, of users from a sample of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.metrics.bootstrap import Bootstrap
from models.metrics.grouped_auc import GroupedAUC
from models.metrics.judgement import Judged
from models.metrics.replicates import interval
from models.metrics.score_histogram import ScoreHistogram
from models.metrics.slice_counts import calibration_errors
from models.metrics.summary import METRICS, Approximation, record


def judge_sketch(
    histogram: ScoreHistogram, sample: Judged, share: float, gauc_error: float, bootstrap: Bootstrap
) -> Judged:
    """Judges rows of which only a histogram and a sample of users are left.

    Args:
      histogram: The scores of all rows, which give AUC, log-loss and calibration.
      sample: The rows of the sample's users, judged, which give the gAUC and the intervals.
      share: Share of all users that the sample is to hold.
      gauc_error: How far its gAUC may be from that of all users.
      bootstrap: How the sample's intervals were found.
    """
    tally = histogram.tally()
    of_sample = sample.summary
    # As many rows as one of the sample's stands for; it varies less than 1 / share, for users differ in rows.
    times = histogram.rows / max(1, of_sample["rows"])
    counts = (of_sample["gauc_users"], of_sample["gauc_rows"], of_sample["users"])
    gauc_users, gauc_rows, users = (round(count * times) for count in counts)
    summary = record(
        auc=float(tally.of_slices.auc()[0]),
        gauc=GroupedAUC(of_sample["gauc"], gauc_users, gauc_rows, users, histogram.rows),
        positives=histogram.positives,
        loss_sum=histogram.loss_sum,
        score_sum=histogram.score_sum,
        calibration_error=float(calibration_errors(tally.gaps, tally.of_slices.rows)[0]),
    )
    summary["approximation"] = Approximation(
        auc=histogram.auc_error(),
        gauc=gauc_error,
        ece=histogram.calibration_error_error(),
        user_share=share,
    )
    if not bootstrap.replicates:
        return Judged(summary, {})
    replicates: dict[str, npt.NDArray[np.float64]] = {}
    for metric, values in _replicates(sample, bootstrap).items():
        value: float | None = summary[metric]  # type: ignore[literal-required]
        middle: float | None = of_sample[metric]  # type: ignore[literal-required]
        if value is None or middle is None:
            replicates[metric] = np.full(bootstrap.replicates, np.nan)
        elif metric == "gauc":
            replicates[metric] = values
        else:
            # The spread of what rests on all users is less than that of the sample's, by the root of its share.
            replicates[metric] = value + np.sqrt(share) * (values - middle)
    summary["intervals"] = {
        metric: None if summary[metric] is None else interval(values, bootstrap.level)  # type: ignore[literal-required]
        for metric, values in replicates.items()
    }
    return Judged(summary, replicates)


def _replicates(sample: Judged, bootstrap: Bootstrap) -> dict[str, npt.NDArray[np.float64]]:
    """The sample's replicates; of an empty sample, none that is defined."""
    nothing = np.full(bootstrap.replicates, np.nan)
    return {metric: sample.replicates.get(metric, nothing) for metric in METRICS}
