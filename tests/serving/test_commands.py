import argparse
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pyarrow.csv
import pytest

from crocodile.commands import score, serve
from serving.client import PredictClient
from serving.credentials import ServerTls
from serving.server import ModelServer, ServerOptions
from tests.serving.conftest import Certificates

ROOT = Path(__file__).parents[2]
CSV = "user,item,price,tab\na,1,2.5,home\n,2,,search\nb,,0.5,\n"


def parser() -> argparse.ArgumentParser:
    main = argparse.ArgumentParser(prog="crocodile")
    subparsers = main.add_subparsers()
    serve.add_parser(subparsers)
    score.add_parser(subparsers)
    return main


def run(*words: object) -> int:
    args = parser().parse_args([str(word) for word in words])
    return args.run(args)


@pytest.mark.parametrize("command", ["serve", "score"])
def test_help_shows_examples_without_tensorflow(command: str) -> None:
    program = f"""
        import argparse, sys
        from crocodile.commands import {command}
        main = argparse.ArgumentParser(prog="crocodile")
        {command}.add_parser(main.add_subparsers())
        try:
            main.parse_args(["{command}", "--help"])
        finally:
            assert "tensorflow" not in sys.modules and "grpc" not in sys.modules and "pyarrow" not in sys.modules
    """
    shown = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert shown.returncode == 0, shown.stderr
    assert f"  crocodile {command} --" in shown.stdout


def test_score(server: ModelServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    output = tmp_path / "scores.csv"
    assert run(
        "score", "--address", server.address, "--model-name", "tiny", "--input", tmp_path / "rows.csv",
        "--output", output, "--keys", "user, tab", "--limit", 2, "--batch-size", 1,
    ) == 0  # fmt: skip
    scores = pyarrow.csv.read_csv(output)
    assert scores.column_names == ["row", "user", "tab", "score"]
    assert scores.num_rows == 2
    assert re.fullmatch(
        rf"scored 2 rows in \d+\.\d s \([\d,]+ rows/s\): {re.escape(str(output))}\n", capsys.readouterr().out
    )


def test_score_over_tls(base_path: Path, certificates: Certificates, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    tls = ServerTls(certificates.server, certificates.server_key, certificates.ca)
    with ModelServer(ServerOptions(base_path, port=0, tls=tls)) as server:
        common = ["score", "--address", server.address, "--input", tmp_path / "rows.csv"]
        common += ["--output", tmp_path / "s.csv", "--root-certificates", certificates.ca, "--timeout", 5]
        own = ["--client-certificate", certificates.client, "--client-key", certificates.client_key]
        assert run(*common) == 1
        assert not (tmp_path / "s.csv").exists()
        assert run(*common, *own) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"--input": "nowhere.csv"}, "nowhere.csv is not there"),
        ({"--model-name": "m"}, "answered NOT_FOUND: Servable not found for request: Latest(m)"),
        ({"--keys": "usr"}, "no column usr (nearest: user), which --keys names"),
        ({"--root-certificates": "no.pem"}, "no.pem"),
        ({"--client-key": "no.pem"}, "--client-certificate and --client-key go together"),
        ({"--signature": "nope"}, "model tiny has no signature 'nope'"),
    ],
)
def test_score_says_why_it_failed(
    server: ModelServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text(CSV)
    options = {"--address": server.address, "--model-name": "tiny", "--input": "rows.csv", "--output": "s.csv"}
    assert run("score", *(word for pair in (options | change).items() for word in pair)) == 1
    error = capsys.readouterr().err
    assert error.startswith("crocodile score: ") and message in error
    assert not Path("s.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--model-base-path", "nowhere"],
            r"Failed to start server. Error: model base path /.*/nowhere is not a directory",
        ),
        (["--model-base-path", "."], r"Failed to start server. Error: no numbered version directory under /"),
        ([], "Failed to start server. Error: INVALID_ARGUMENT: Both server_options.model_base_path and"),
        (["--model-base-path", ".", "--ssl-key", "k"], "--ssl-certificate and --ssl-key go together"),
        (["--model-base-path", ".", "--ssl-client-ca", "c"], "--ssl-client-ca needs"),
        (["--model-base-path", ".", "--port", "70000"], "--port should be -1 to 65535, not 70000"),
        (["--model-base-path", ".", "--max-message-mib", "0"], "--max-message-mib should be 1 to 2047, not 0"),
    ],
)
def test_serve_says_why_it_cannot_start(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("serve", *options) == 1
    assert re.search(f"^crocodile serve: {message}", capsys.readouterr().err, re.MULTILINE)


def test_serve_prints_its_address_and_stops_on_sigterm(base_path: Path) -> None:
    program = """
        import argparse, sys
        from crocodile.commands import serve
        main = argparse.ArgumentParser(prog="crocodile")
        serve.add_parser(main.add_subparsers())
        args = main.parse_args(["serve", *sys.argv[1:]])
        sys.exit(args.run(args))
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), "--model-base-path", base_path, "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        ready = re.fullmatch(r"serving crocodile version 1 at (127\.0\.0\.1:\d+)\n", line)
        assert ready is not None, line
        with PredictClient(ready[1]) as client:
            assert client.predict([b""]).shape == (1,)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert out == "SIGTERM: stopping\n"
        assert "Traceback" not in err
    finally:
        process.kill()


def test_serve_stops_on_ctrl_c_and_gives_the_signals_back(base_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    former = signal.getsignal(signal.SIGINT)

    def press_ctrl_c() -> None:
        while signal.getsignal(signal.SIGINT) is former:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    presser = threading.Thread(target=press_ctrl_c)
    presser.start()
    assert run("serve", "--model-base-path", base_path, "--port", 0) == 0
    presser.join()
    assert capsys.readouterr().out.endswith("\nSIGINT: stopping\n")
    assert signal.getsignal(signal.SIGINT) is former
