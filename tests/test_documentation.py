"""What the README and the docs tell people to do is done here."""

import functools
import re
import runpy
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from pipeline.config_file import load_config
from pipeline.config_reference import render
from serving.client import PredictClient
from tests.conftest import ROOT, DemoRun, crocodile

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def commands(page: Path) -> list[list[str]]:
    """The shell commands of a page, without comments."""
    return [shlex.split(line, comments=True) for block in blocks(page, "bash") for line in block.splitlines() if line]


@functools.cache
def help_of(*command: str) -> str:
    """What a command's `--help` shows; many pages name one command."""
    return crocodile(*command, "--help").stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for command in commands(page):
        if command[0] == "make":
            assert re.search(rf"^{command[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), command
        elif command[0] == "crocodile":
            words = command[1 : 3 if command[1] == "data" else 2]
            shown = help_of(*words)
            for option in (word.partition("=")[0] for word in command[2:] if word.startswith("--")):
                assert option in shown, f"{page.name}: {command[1]} has no {option}"


def test_the_configs_that_the_page_on_logs_shows_are_configs(tmp_path: Path) -> None:
    shown = blocks(ROOT / "docs/data.md", "yaml")
    assert shown
    demo = yaml.safe_load((ROOT / "configs/kuairand_1k.yaml").read_text())
    for block in shown:
        config = yaml.safe_load(block)
        if "name" not in config:  # A part of one.
            features = [*config["dataset"]["features"], *demo["dataset"]["features"]]
            config = {**demo, "dataset": {**demo["dataset"], **config["dataset"], "features": features}}
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        load_config(path)


def test_the_config_page_is_up_to_date() -> None:
    assert (ROOT / "docs/config.md").read_text(encoding="utf-8") == render(), "run `make docs`"


def test_make_help_lists_what_can_be_made() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("run", "test", "lint", "serve", "help"):
        assert re.search(rf"make {target}\b", shown), target


COMMANDS = "run evaluate compare tune analyze serve score".split() + ["data generate", "data check", "data describe"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str) -> None:
    shown = help_of(*command.split())
    assert "examples:" in shown
    assert f"crocodile {command}" in shown


def printed_scores(snippet: str, address: str, folder: Path, capsys) -> list[float]:
    """What a page's Python prints when the server is at this address."""
    script = folder / "ask.py"
    script.write_text(snippet.replace("127.0.0.1:8500", address))
    runpy.run_path(str(script))
    return [float(score) for score in re.findall(r"0\.\d+", capsys.readouterr().out)]


def test_the_served_model_answers_the_readmes_python_and_a_file(demo_run: DemoRun, tmp_path: Path, capsys) -> None:
    """`crocodile serve` in a process of its own; the README's snippet and `crocodile score` ask it."""
    base = demo_run.output / "serving_model" / "crocodile"
    command = [sys.executable, "-m", "crocodile", "serve", "--model-base-path", str(base), "--port", "0"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert server.stdout is not None
        seen, address = "", None
        deadline = time.monotonic() + 120
        while address is None:
            assert server.poll() is None and time.monotonic() < deadline, seen
            seen += server.stdout.readline()
            address = re.search(r"127\.0\.0\.1:\d+", seen)
        (snippet,) = blocks(ROOT / "README.md", "python")
        scores = printed_scores(snippet, address[0], tmp_path, capsys)
        assert len(scores) == 2 and scores[0] != scores[1]
        waiting, of_asyncio = blocks(ROOT / "docs/client.md", "python")
        assert printed_scores(waiting, address[0], tmp_path, capsys) == pytest.approx(scores, abs=1e-6)
        assert printed_scores(of_asyncio, address[0], tmp_path, capsys)[1:] == pytest.approx(scores, abs=1e-6)

        # A file must have a column for every feature; a value may be missing.
        with PredictClient(address[0], "crocodile") as client:
            others = set(client.metadata().signature("serving_raw").inputs) - {"user_id", "video_id", "tab"}
        header, empty = ",".join(["user_id,video_id,tab", *others]), "," * len(others)
        rows = tmp_path / "rows.csv"
        rows.write_text(
            "".join(line + "\n" for line in (header, *(r + empty for r in ("17,25,1", "17,25,6", "18,26,0"))))
        )
        out = tmp_path / "scores.csv"
        crocodile("score", "--address", address[0], "--input", rows, "--output", out, "--keys", "user_id,tab")
        lines = out.read_text().splitlines()
        assert lines[0] == "row,user_id,tab,score"
        assert [line.rsplit(",", 1)[0] for line in lines[1:]] == ["0,17,1", "1,17,6", "2,18,0"]
        assert [float(line.rsplit(",", 1)[1]) for line in lines[1:3]] == pytest.approx(scores, abs=1e-4)
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
