from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from crocodile.commands import data as command
from data import demo_log
from data.checks import check_input
from data.demo_impressions import domain_counts
from data.demo_log import FILES, ITEMS, LOG, MANIFEST, USERS, DemoLogOptions, ForeignFilesError, generate
from data.ingest import split_batches
from data.readers import open_reader
from data.spec import DatasetSpec

ROOT = Path(__file__).parents[2]
SMALL = DemoLogOptions(rows=3000, seed=1)


def config_spec(name: str) -> DatasetSpec:
    return DatasetSpec.model_validate(yaml.safe_load((ROOT / "configs" / name).read_text())["dataset"])


@pytest.fixture(scope="module")
def full_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log that `make run` uses."""
    folder = tmp_path_factory.mktemp("demo")
    assert generate(folder, DemoLogOptions())
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# The files.


def test_headers_are_those_of_the_real_files(tmp_path: Path) -> None:
    generate(tmp_path, SMALL)
    headers = {name: (tmp_path / name).read_text().splitlines()[0] for name in FILES}
    assert headers[LOG] == (
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
        "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
    )
    assert headers[USERS] == (
        "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,"
        "follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,"
        "register_days_range," + ",".join(f"onehot_feat{n}" for n in range(18))
    )
    assert headers[ITEMS] == (
        "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
        "music_id,music_type,tag"
    )


def test_same_options_same_bytes_and_another_seed_other_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        generate(tmp_path / name, SMALL)
    generate(tmp_path / "c", DemoLogOptions(rows=3000, seed=2))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    for name in FILES:
        assert contents(tmp_path / "a")[name] != contents(tmp_path / "c")[name]


def test_domain_counts_are_exact() -> None:
    # 2.4 : 7.8 : 0.4 : 0.9 : 0.2, of 11.7 together.
    assert domain_counts(117_000) == [24_000, 78_000, 4_000, 9_000, 2_000]
    assert sum(domain_counts(1003)) == 1003


def test_the_log_is_as_described(full_log: Path) -> None:
    log = pd.read_csv(full_log / LOG)
    assert log["tab"].value_counts().to_dict() == dict(zip((0, 1, 2, 4, 6), domain_counts(200_000), strict=True))
    assert log["time_ms"].is_monotonic_increasing
    local = pd.to_datetime(log["time_ms"], unit="ms", utc=True).dt.tz_convert("Asia/Shanghai")
    assert (local.dt.strftime("%Y%m%d").astype(int) == log["date"]).all()
    assert (local.dt.hour * 100 == log["hourmin"]).all()
    assert sorted(log["date"].unique()) == [*range(20220425, 20220431), *range(20220501, 20220509)]
    assert (log["is_rand"] == 0).all()
    # Only a click has what follows a click.
    assert not log.loc[log["is_click"] == 0, ["is_like", "is_follow", "long_view", "comment_stay_time"]].any(axis=None)
    rows_of_users = log["user_id"].value_counts()
    assert len(rows_of_users) == 1000
    assert 100 < rows_of_users.median() < 300
    # Zipf: the first percent of the videos has many times its share, and there is a long tail.
    rows_of_items = log["video_id"].value_counts()
    assert len(rows_of_items) > 4000
    assert rows_of_items.head(50).sum() > 0.1 * len(log)
    assert (rows_of_items < 15).sum() > 500


def test_features_are_as_described(full_log: Path) -> None:
    users, items = (list(csv.DictReader((full_log / name).read_text().splitlines())) for name in (USERS, ITEMS))
    assert [row["user_id"] for row in users] == [str(n) for n in range(1000)]
    assert [row["video_id"] for row in items] == [str(n) for n in range(5000)]
    # Every way in which the real files write "unknown" occurs, and is rare where it is rare there.
    for rows, column, mark, most in (
        (users, "user_active_degree", "UNKNOWN", 0.05),
        (users, "is_live_streamer", "-124", 0.9),
        (users, "onehot_feat4", "", 0.1),
        (users, "onehot_feat12", "", 0.1),
        (items, "video_type", "UNKNOWN", 0.05),
        (items, "video_duration", "", 0.1),
        (items, "music_type", "", 0.1),
        (items, "tag", "", 0.05),
    ):
        assert 0 < sum(row[column] == mark for row in rows) / len(rows) < most, column
    assert any(re.fullmatch(r"\d+,\d+", row["tag"]) for row in items)
    for row in users:
        low, high = re.fullmatch(r"(\d+)(?:-(\d+)|\+)", row["register_days_range"]).groups()  # type: ignore[union-attr]
        assert int(low) <= int(row["register_days"]) <= int(high or 10**9)
    durations = {row["video_id"]: float(row["video_duration"] or 0) for row in items}
    log = pd.read_csv(full_log / LOG)
    assert (log["video_id"].astype(str).map(durations) == log["duration_ms"]).all()


def test_the_demo_config_fits_the_demo_log(full_log: Path) -> None:
    spec = config_spec("demo.yaml")
    report = check_input(spec, full_log)
    counts = report.counts
    assert (counts.rows, counts.rows_of()) == (200_000, 200_000)
    assert counts.rows_of("train") == pytest.approx(200_000 * 10 / 14, rel=0.02)
    assert min(counts.rows_of("test", domain) for domain in spec.domains) > 500


def test_both_configs_describe_the_same_columns_and_no_leak(full_log: Path) -> None:
    demo, real = config_spec("demo.yaml"), config_spec("kuairand_pure.yaml")
    assert demo.leaks == real.leaks and demo.roles == real.roles
    # The demo's own config is a short one: some of the real one's fields, a tag a video, and one number that stays a
    # number.
    (tags,) = (field for field in real.id_fields if field.kind == "multi_valued")
    assert {field for field in demo.id_fields if field.name != tags.name} < set(real.id_fields)
    assert [field.name for field in demo.value_fields] == ["follow_user_num"]
    log_columns = set(pd.read_csv(full_log / LOG, nrows=1).columns)
    known_before = {"user_id", "video_id", "date", "hourmin", "time_ms", "duration_ms", "is_rand", "tab"}
    assert set(real.leaks) == log_columns - known_before - {"is_click"}
    assert real.domains == ("0", "1", "2", "4", "6")
    open_reader(real, full_log).schema()


# The promise: domains agree in some tastes and conflict in others.


def test_a_model_that_ignores_the_domain_is_worse(full_log: Path) -> None:
    spec = config_spec("demo.yaml")
    parts = [(split, batch.to_pandas()) for split, batch in split_batches(open_reader(spec, full_log), spec)]
    rows = pd.concat([part for _, part in parts], ignore_index=True)
    train = np.concatenate([np.full(len(part), split == "train") for split, part in parts])
    test = np.concatenate([np.full(len(part), split == "test") for split, part in parts])
    rows["duration"] = pd.qcut(rows["video_duration"], 8, labels=False)
    single = [
        rows[name].astype(str)
        for name in ("user_id", "video_id", "author_id", "tag", "music_id", "duration", "onehot_feat4")
    ]
    crossed = [rows[user] + "x" + rows["tag"].astype(str) for user in ("onehot_feat1", "onehot_feat9")]
    blind = single + crossed
    aware = [*blind, rows["tab"], *(rows["tab"] + "x" + column for column in blind[1:])]

    def one_hot(columns: list[pd.Series]) -> scipy.sparse.csr_matrix:
        blocks = []
        for column in columns:
            codes, names = pd.factorize(column)
            frequent = np.bincount(codes[train], minlength=len(names)) >= 10
            ones = frequent[codes].astype(np.float32)
            block = scipy.sparse.csr_matrix((ones, (np.arange(len(rows)), codes)), (len(rows), len(names)))
            blocks.append(block[:, np.flatnonzero(frequent)])
        return scipy.sparse.hstack(blocks).tocsr()

    def scores(columns: list[pd.Series]) -> np.ndarray:
        features = one_hot(columns)
        model = LogisticRegression(C=0.15, max_iter=50)
        model.fit(features[train], rows["is_click"][train])
        return model.decision_function(features[test])

    judged = rows[test].assign(blind=scores(blind), aware=scores(aware))

    def gauc(frame: pd.DataFrame, name: str) -> float:
        clicks = frame["is_click"]
        ranks = frame.groupby("user_id")[name].rank()
        sums = pd.DataFrame({"clicks": clicks, "others": 1 - clicks, "ranks": ranks * clicks})
        users = sums.groupby(frame["user_id"]).sum()
        users = users[(users["clicks"] > 0) & (users["others"] > 0)]
        wins = users["ranks"] - users["clicks"] * (users["clicks"] + 1) / 2
        return float(np.average(wins / (users["clicks"] * users["others"]), weights=users["clicks"] + users["others"]))

    auc = {name: roc_auc_score(judged["is_click"], judged[name]) for name in ("blind", "aware")}
    assert 0.70 < auc["aware"] < 0.78
    assert auc["aware"] > auc["blind"] + 0.015
    assert gauc(judged, "aware") > 0.68
    assert gauc(judged, "aware") > gauc(judged, "blind") + 0.015
    for tab in ("2", "6"):  # Where the tastes are turned, what the large domains teach is of no use.
        rows_of_tab = judged[judged["tab"] == tab]
        tab_auc = {name: roc_auc_score(rows_of_tab["is_click"], rows_of_tab[name]) for name in auc}
        assert tab_auc["aware"] > tab_auc["blind"] + 0.05


# Writing.


def test_an_existing_log_of_the_same_options_is_kept(tmp_path: Path) -> None:
    assert generate(tmp_path, SMALL)
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert not generate(tmp_path, SMALL)
    assert {path.name: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert generate(tmp_path, SMALL, force=True)
    assert generate(tmp_path, DemoLogOptions(rows=3000, seed=2))
    assert generate(tmp_path, DemoLogOptions(rows=4000, seed=2))


@pytest.mark.parametrize("name", [LOG, USERS, ITEMS, MANIFEST])
def test_an_incomplete_log_is_written_again(tmp_path: Path, name: str) -> None:
    generate(tmp_path, SMALL)
    expected = contents(tmp_path)
    (tmp_path / name).unlink()
    assert generate(tmp_path, SMALL)
    (tmp_path / name).write_text("cut")
    assert generate(tmp_path, SMALL)
    assert contents(tmp_path) == expected


def test_a_log_of_another_generator_version_is_written_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(tmp_path, SMALL)
    monkeypatch.setattr(demo_log, "VERSION", 0)
    assert generate(tmp_path, SMALL)
    assert json.loads((tmp_path / MANIFEST).read_text())["version"] == 0


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    for force in (False, True):
        with pytest.raises(ForeignFilesError, match=r"holds files that are not a demo log's \(thesis.txt\)"):
            generate(tmp_path, SMALL, force=force)
    assert contents(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_failure_before_the_files_are_whole_leaves_the_old_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generate(tmp_path, SMALL)
    before = contents(tmp_path)

    def full_disk(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(demo_log, "_write_log", full_disk)
    with pytest.raises(OSError, match="no space"):
        generate(tmp_path, DemoLogOptions(rows=5000))
    assert contents(tmp_path) == before


def test_a_killed_generator_leaves_no_half_log(tmp_path: Path) -> None:
    # Killed while the log is half written, the features whole.
    code = (
        "import pathlib, sys, time; from data import demo_log\n"
        "def stop(path, log):\n"
        "    path.write_text('half'); print('half', flush=True); time.sleep(60)\n"
        "demo_log._write_log = stop\n"
        "demo_log.generate(pathlib.Path(sys.argv[1]), demo_log.DemoLogOptions(rows=3000, seed=1))\n"
    )
    output = tmp_path / "log"
    process = subprocess.Popen([sys.executable, "-c", code, str(output)], stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None and process.stdout.readline() == b"half\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not any((output / name).exists() for name in (*FILES, MANIFEST))
    assert generate(output, SMALL)
    generate(tmp_path / "other", SMALL)
    assert contents(output) == contents(tmp_path / "other")  # What the killed one left is gone.


def test_the_default_log_takes_seconds(tmp_path: Path) -> None:
    start = time.process_time()
    generate(tmp_path, DemoLogOptions())
    assert time.process_time() - start < 5


# The command.


def run_command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["data", *arguments])
    status: int = args.run(args)
    return status


def test_command_writes_then_keeps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("generate", "--output", str(tmp_path / "log"), "--rows", "3000", "--seed", "1")
    assert run_command(*arguments) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("demo log written: 3,000 rows, 50 users, 200 videos, seed 1\n")
    for name in FILES:
        assert f"{tmp_path / 'log' / name}  " in printed.out
    assert "drawing 3,000 impressions" in printed.err
    assert run_command(*arguments) == 0
    assert capsys.readouterr().out.startswith("demo log already there, kept: 3,000 rows")
    assert run_command(*arguments, "--force") == 0
    assert capsys.readouterr().out.startswith("demo log written")


def test_command_refuses_wrong_options_and_folders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command("generate", "--output", str(tmp_path / "log"), "--rows", "5") == 2
    assert capsys.readouterr().err == "error: rows should be at least 1000, found 5\n"
    (tmp_path / "x.txt").write_text("x")
    assert run_command("generate", "--output", str(tmp_path)) == 2
    assert "error: " in capsys.readouterr().err
    assert run_command("generate", "--output", str(tmp_path / "x.txt")) == 2
    assert "is a file, expected a folder" in capsys.readouterr().err
    assert sorted(os.listdir(tmp_path)) == ["x.txt"]


def test_command_reports_a_folder_that_cannot_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("x")
    assert run_command("generate", "--output", str(tmp_path / "file" / "log")) == 1
    assert "error: the log could not be written" in capsys.readouterr().err
