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
from models.metrics.comparison import compare
from models.metrics.domain_summary import DOMAINS, domain_summary
from models.metrics.judgement import judge
from models.metrics.slices import one_slice, slices_by
from pipeline.analysis_page import analysis_page
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
        row_counts={"rows": 1000, "quarantined": {"label is 2 <i>": 100}},
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
    training = [{"epoch": epoch, "abundance": {"abundance/user/set 0": 1.0 + epoch}} for epoch in (1, 2)]
    run = {"model": "crocodile", "expert_loss": "cov", "expert_loss_alpha": 0.1, "abundance_over_training": training}
    return analysis_page({"with CovLoss": {**run, **found}})


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
    assert "Gained against the last blessed model: 1, &lt;/script&gt;&lt;b&gt;." in first
    assert "Paid: no domain." in first


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
