import json
import subprocess
import sys

import numpy as np
import pytest

from models.metrics.domain_summary import summarize


def test_hand_worked_table():
    # ann: click .9, others .4 and .95: 1 of 2 won, 3 rows. bob: two clicks, left out.
    # All pairs: .9 > .4, .9 < .95, .3 < .4, .3 < .95, .5 > .4, .5 < .95: 2 of 6.
    summary = summarize([1, 0, 0, 1, 1], [0.9, 0.4, 0.95, 0.3, 0.5], ["ann", "ann", "ann", "bob", "bob"])
    # losses: -ln .9 - ln .6 - ln .05 - ln .3 - ln .5 = .10536 + .51083 + 2.99573 + 1.20397 + .69315 = 5.50904
    assert summary.pop("log_loss") == pytest.approx(5.50904 / 5, abs=1e-5)
    assert summary.pop("mean_prediction") == pytest.approx(3.05 / 5)
    # each row has a bin of its own: |.9 - 1| + |.4 - 0| + |.95 - 0| + |.3 - 1| + |.5 - 1| = 2.65
    assert summary.pop("ece") == pytest.approx(2.65 / 5)
    assert summary.pop("calibration") == pytest.approx(3.05 / 3)
    assert summary == {
        "auc": 2 / 6,
        "gauc": 0.5,
        "rows": 5,
        "users": 2,
        "gauc_rows": 3,
        "gauc_users": 1,
        "positives": 3,
        "mean_label": 0.6,
    }


def test_without_rows_counts_are_zero_and_metrics_missing():
    summary = summarize([], [], [])
    assert summary == {
        "auc": None,
        "gauc": None,
        "log_loss": None,
        "calibration": None,
        "ece": None,
        "rows": 0,
        "users": 0,
        "gauc_rows": 0,
        "gauc_users": 0,
        "positives": 0,
        "mean_label": None,
        "mean_prediction": None,
    }


def test_logits_have_ranks_but_no_log_loss():
    summary = summarize([0, 1], [-3.0, 4.0], [1, 1])
    assert (summary["auc"], summary["gauc"], summary["log_loss"]) == (1.0, 1.0, None)
    assert summary["mean_prediction"] == 0.5


def test_is_plain_json():
    rng = np.random.default_rng(1)
    summary = summarize(rng.integers(0, 2, 50), rng.random(50).astype(np.float32), rng.integers(0, 5, 50))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_needs_no_tensorflow():
    code = (
        "import sys, models.metrics.auc, models.metrics.row_store, models.metrics.scored_rows;"
        "sys.exit(any(m.split('.')[0] in ('tensorflow', 'apache_beam', 'pandas') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
