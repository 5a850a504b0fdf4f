"""The report in a real headless browser: no console errors, every plot drawn, in the light and in the dark."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from models.analysis.captured import Captured, EmbeddingSpace
from models.analysis.diversity import conflict_sets
from models.analysis.model_analysis import analyze
from models.metrics.bootstrap import Bootstrap
from models.metrics.comparison import GUARDED, compare
from models.metrics.domain_summary import DOMAINS, domain_summary
from models.metrics.judgement import judge
from models.metrics.slices import one_slice, slices_by
from pipeline import report_page as report_module
from pipeline.analysis_page import analysis_page
from pipeline.approximation_text import approximation_text
from pipeline.data_facts import Anomaly, DataFacts, DomainChecks
from pipeline.domain_comparison import Finding
from pipeline.html_page import HtmlPage
from pipeline.report_page import report_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def browser() -> str:
    found = os.environ.get("CHROME") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.fail(
            "no browser to check the report with: tools/prepare_browser.sh installs Debian's chromium as root; "
            "elsewhere install one, or name it in CHROME"
        )
    return found


def look(page: HtmlPage, folder: Path, *options: str) -> tuple[str, list[str]]:
    """The page's document after its scripts ran, and what went wrong in its console."""
    file = folder / "page.html"
    page.write(file)
    command = [
        browser(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--enable-logging=stderr",
        f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=20000", "--window-size=400,900", *options,
        "--dump-dom", file.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


DATA = DataFacts(
    row_counts={
        "rows": 1000,
        "kept": {"train": {"1": 500, "</script><b>": 90}, "validation": {"1": 10}, "test": {"1": 200}},
        "quarantined": {"label is 2 <i>": 100},
        "dropped": {"repeat": 40},
        "left_out": {"other_domains": {"9": 53}, "other_periods": 7},
    },
    fields={
        "user": {"rows": 590, "rows_missing": 59, "min_count": 10, "kept": 40, "dropped": 7, "share_default": 0.21875},
        "age": {"rows": 590, "rows_missing": 0, "buckets": 17},
        "price": {"rows": 590, "rows_missing": 118, "mean": 3.5, "deviation": 0.25},
    },
    anomalies=(Anomaly("test", "colour", "Examples contain values missing from the schema: <mauve>."),),
    domains=DomainChecks(
        (Finding("drift", "1", "hour", "The L-infinity distance is 0.4."),), ("skew in domain 7",), True
    ),
)


def judgement(scores, labels, users, domains):
    divisions = {"overall": one_slice(len(labels)), DOMAINS: slices_by(domains, len(labels))}
    return judge(labels, scores, users, divisions, Bootstrap(50))


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(3)
    labels, users = rng.integers(0, 2, 900), rng.integers(0, 40, 900)
    # A domain's name is whatever the log says, also what would break out of a page.
    domains = rng.choice(["1", "</script><b>", "one class"], 900, p=[0.6, 0.3, 0.1])
    labels[domains == "one class"] = 0
    good, bad = 0.3 * labels + 0.6 * rng.random(900), rng.random(900)
    new, old = judgement(good, labels, users, domains), judgement(bad, labels, users, domains)
    return report_page(
        name="shop",
        metrics=domain_summary(new, ["1", "</script><b>", "one class", "empty"]),
        reasons=["domain 1: gauc is 0.5000; at least 0.9900 is asked for"],
        comparison=compare(new, old, 0.95),
        data=DATA,
        training={"best_epoch": 1, "epochs": 2, "validation": {}},
        facts={"config": {"model": {"name": "crocodile"}}, "git_commit": "abc", "seed": 0, "packages": {"numpy": "1"}},
    )


@pytest.fixture(scope="module")
def analysis():
    rng = np.random.default_rng(4)
    rows, fields, domains = 300, 3, 2
    captured = Captured(
        ids=rng.integers(0, 20, (rows, fields)),
        domains=rng.integers(0, domains, rows),
        labels=rng.integers(0, 2, rows),
        experts=np.abs(rng.normal(size=(3, rows, 4))),
        gates=rng.dirichlet(np.ones(3), (rows, 4)).transpose(2, 0, 1),
    )
    spaces = [EmbeddingSpace(f"set {p}", list(rng.normal(size=(fields, 20, 4))), None) for p in range(3)]
    conflicts = conflict_sets(np.abs(rng.normal(size=(domains, rows))))
    found = analyze(spaces, captured, ["user", "item", "tab"], ["a", "b"], 0, 1, conflicts)
    training = [
        {
            "epoch": epoch,
            "abundance": [
                {"kind": kind, "name": name, "part": part, "value": 1.0 + epoch}
                for kind, name in (("user", "set 0"), ("item", "set 0"), ("expert", "0"))
                for part in ("all", "domain a", "head")
            ],
        }
        for epoch in (1, 2)
    ]
    run = {"model": "crocodile", "expert_loss": "cov", "expert_loss_alpha": 0.1, "abundance_over_training": training}
    without = {**run, "expert_loss": "none", "expert_loss_alpha": 0.0}
    return analysis_page({"with CovLoss": {**run, **found}, "without": {**without, **found}})


@pytest.mark.parametrize(("name", "scheme"), [("report", []), ("analysis", ["--force-dark-mode"])])
def test_every_plot_is_drawn_without_a_word_in_the_console(name, scheme, request, tmp_path):
    page = request.getfixturevalue(name)
    document, errors = look(page, tmp_path, *scheme)
    assert errors == []
    plots = re.findall(r'<div class="?plot[^>]*id="(plot\d+)"[^>]*>', document)
    assert len(plots) == page.render().count("<div class=plot")
    assert len(plots) >= 8
    # Plotly puts its drawing into the element when it is done.
    assert document.count('<div class="plot-container plotly"') == len(plots)
    assert document.count('svg-container" style') == len(plots)


def test_the_first_screen_says_whether_and_why(report):
    text = report.render()
    first = text[: text.index("<table")]
    assert "Not blessed" in first
    assert "domain 1: gauc is 0.5000; at least 0.9900 is asked for" in first
    assert "Gained against the last blessed model: 1 (AUC, gAUC, " in first and "&lt;/script&gt;&lt;b&gt; (" in first
    # Of the domain with no click only the log-loss says something.
    assert "one class (log-loss)" in first


def test_the_first_screen_names_the_metric_that_paid_and_what_is_not_known():
    def one(**verdicts):
        return {metric: {"verdict": verdicts.get(metric, verdicts.get("rest"))} for metric in GUARDED}

    words = report_module._in_words(
        {"domains": {"1": one(gauc="gained", auc="paid"), "2": one(), "0": one(log_loss="paid", rest="no difference")}}
    )
    assert words == [
        "Gained against the last blessed model: 1 (gAUC).",
        "Paid: 0 (log-loss), 1 (AUC).",
        "No difference beyond noise: no domain.",
        "Not known, for want of intervals: 2.",
    ]
    assert report_module._in_words({"domains": {"2": one()}}) == ["Not known, for want of intervals: 2."]


def test_it_is_one_file_and_asks_no_network(report):
    text = report.render()
    own = text.replace(text[text.index("<script>") : text.index("</script>")], "")
    assert "http" not in own.replace("prefers", "")
    assert "src=" not in own and "@import" not in own
    assert "</script><b>" not in own.split("const PLOTS=")[1].split(";\nfunction")[0]
    assert "prefers-color-scheme:dark" in own and "name=viewport" in own


def test_undefined_values_and_empty_domains_have_a_row(report):
    text = report.render()
    row = text[text.index(">empty<") :][:400]
    assert ">0<" in row and "undefined" in row


def cells(text, first):
    """The cells of the table row that begins with a text."""
    row = re.search(rf"<tr><td[^>]*>{re.escape(first)}</td>(.*?)</tr>", text)
    assert row is not None, first
    return re.findall(r"<td[^>]*>(.*?)</td>", row[1])


def test_the_data_is_there_rows_fields_wrong_rows_and_what_moved(report):
    text = report.render()
    assert "Of 1,000 rows read, 100 were wrong and are quarantined." in text
    section = text[text.index("Rows by domain and split") :]
    assert cells(section, "1") == ["500", "10", "200", "710"]
    assert cells(section, "&lt;/script&gt;&lt;b&gt;") == ["90", "0", "0", "90"]
    assert cells(section, "all") == ["590", "10", "200", "800"]
    assert cells(section, "quarantined: label is 2 &lt;i&gt;") == ["100", "0.1000"]
    assert cells(section, "dropped: repeat") == ["40", "0.0400"]
    assert cells(section, "left out: domain 9") == ["53", "0.0530"]
    fields = section[section.index("Fields, in the training rows") :]
    assert cells(fields, "user") == ["41", "10", "40", "7", "0.2188", "0.1000", "", ""]
    assert cells(fields, "age") == ["17", "", "", "", "", "0.0000", "", ""]
    assert cells(fields, "price") == ["", "", "", "", "", "0.2000", "3.5000", "0.2500"]
    moved = fields[fields.index("What moved, by domain and field") :]
    assert cells(moved, "1") == ["hour", "drift", "The L-infinity distance is 0.4."]
    assert "Not compared, for want of rows: skew in domain 7." in moved
    assert cells(moved, "test") == ["colour", "Examples contain values missing from the schema: &lt;mauve&gt;."]


def test_the_report_says_how_near_the_metrics_are(report):
    assert "All metrics are exact." in report.render()
    record = {"approximation": {"auc": 2.5e-7, "gauc": 1e-3, "ece": None, "user_share": 0.25}}
    text = approximation_text({"domain 1": {}, "overall": record})
    assert (
        text.endswith("overall: AUC at most 2.5e-07, gAUC 0.001 (four standard errors), from 0.25 of the users.")
        and "domain 1" not in text
    )
