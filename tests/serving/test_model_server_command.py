"""``crocodile-model-server``: TensorFlow Serving's flags, its words where the start fails, and its logs."""

import argparse
import json
import logging
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crocodile.commands.serve import serve
from serving.errors import InvalidArgumentError
from serving.flag_options import server_options
from serving.flags import FLAGS, add_flags, check_ranges, ignored_flags
from serving.server_logs import JsonFormatter
from tests.serving import classic_model
from tests.serving.rest import get

ROOT = Path(__file__).parents[2]


def parse(*words: str) -> tuple[argparse.Namespace, list[str]]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_flags(parser)
    return parser.parse_known_args(words)


def test_every_spelling() -> None:
    for words in (
        ["--rest_api_port=8501", "--model_base_path=/m", "--enable_batching"],
        ["--rest_api_port", "8501", "--model-base-path", "/m", "--enable-batching=true"],
        ["--rest-api-port=8501", "--model_base_path", "/m", "--enable_batching", "true"],
    ):
        flags, unknown = parse(*words)
        assert (flags.rest_api_port, flags.model_base_path, flags.enable_batching, unknown) == (8501, "/m", True, [])
    assert parse("--enable_model_warmup=false")[0].enable_model_warmup is False


def test_tensorflow_servings_defaults() -> None:
    flags, _ = parse()
    assert (flags.port, flags.rest_api_port, flags.model_name) == (8500, 0, "default")
    assert (flags.max_num_load_retries, flags.load_retry_interval_micros) == (5, 60_000_000)
    assert flags.rest_api_timeout_in_ms == 30_000 and flags.enable_model_warmup and not flags.enable_batching
    assert flags.host == "127.0.0.1"


def test_unknown_flags_are_left_over_and_useless_ones_are_known() -> None:
    flags, unknown = parse("--nonsense=1", "--port=0", "--flush_filesystem_caches=false")
    assert unknown == ["--nonsense=1"]
    assert ignored_flags(flags) == ["flush_filesystem_caches"]


def test_every_flag_is_described_in_the_page() -> None:
    page = (ROOT / "docs" / "serving.md").read_text()
    assert [flag.name for flag in FLAGS if f"`{flag.name}`" not in page] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batching_parameters_file=/b"], "batching_parameters_file is set without setting"),
        (["--grpc_channel_arguments=a"], "expected key=value, found 'a'"),
        (["--port=-1"], "At least one of server_options.grpc_port or"),
        (["--port=8501", "--rest_api_port=8501"], "http_port cannot be same as grpc_port"),
        (
            ["--tensorflow_session_parallelism=1", "--tensorflow_intra_op_parallelism=1",
             "--tensorflow_inter_op_parallelism=1"],
            "You cannot configure all",
        ),
    ],
)  # fmt: skip
def test_flags_that_contradict_each_other(words: list[str], message: str) -> None:
    flags, _ = parse("--model_base_path=/m", *words)
    assert check_ranges(flags) is None
    with pytest.raises(InvalidArgumentError, match=message):
        server_options(flags)


def test_files_become_options(tmp_path: Path) -> None:
    (tmp_path / "monitoring.config").write_text('prometheus_config { enable: true path: "/metrics" }')
    (tmp_path / "batching.config").write_text("max_batch_size { value: 16 }")
    flags, _ = parse(
        "--model_base_path=/m", "--enable_batching", f"--batching_parameters_file={tmp_path}/batching.config",
        f"--monitoring_config_file={tmp_path}/monitoring.config", "--grpc_channel_arguments=grpc.a=1,grpc.b=c",
    )  # fmt: skip
    options = server_options(flags)
    assert options.metrics_path == "/metrics"
    assert options.loading.batching is not None and options.loading.batching.max_batch_size == 16
    assert options.channel_arguments == (("grpc.a", 1), ("grpc.b", "c"))
    (tmp_path / "monitoring.config").write_text("prometheus_config { enable: false }")
    assert server_options(flags).metrics_path is None


BAD_FILES = {
    "model_config_file": "tensorflow.serving.ModelServerConfig",
    "batching_parameters_file": "tensorflow.serving.BatchingParameters",
    "monitoring_config_file": "tensorflow.serving.MonitoringConfig",
    "ssl_config_file": "tensorflow.serving.SSLConfig",
}


@pytest.mark.parametrize("flag", BAD_FILES)
def test_a_bad_file_at_the_start(flag: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad").write_text("\n  what is this")
    flags, _ = parse("--model_base_path=/m", "--enable_batching", "--port=0", f"--{flag}={tmp_path}/bad")
    assert serve(flags, (), "crocodile-model-server") == 1
    error = capsys.readouterr().err
    assert "Failed to start server. Error: INVALID_ARGUMENT: " in error
    assert f"Error parsing text-format {BAD_FILES[flag]}: 2:3" in error


def test_a_json_log_line() -> None:
    record = logging.LogRecord("a", logging.INFO, "f", 1, "hello %s", ("you",), None)
    record.model, record.latency_ms = "m", 1.5
    line = json.loads(JsonFormatter().format(record))
    assert line["message"] == "hello you" and (line["severity"], line["model"], line["latency_ms"]) == (
        "INFO",
        "m",
        1.5,
    )


def test_the_process(tmp_path: Path) -> None:
    """As a script would run it: unknown flags are reported, both ports answer, SIGTERM ends it, logs are JSON."""
    classic_model.export(tmp_path / "m" / "1", 1.0, ("regress",))
    process = subprocess.Popen(
        [
            sys.executable, "-m", "crocodile.model_server", "--port=0", "--rest_api_port=-1", "--model_name=m",
            f"--model_base_path={tmp_path}/m", "--nonsense=1", "--log_format=json", "--log_requests",
        ],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "unknown argument: --nonsense=1\n"
        line = process.stdout.readline()
        ready = re.fullmatch(r"serving m version 1 at 127\.0\.0\.1:\d+, REST at (127\.0\.0\.1:\d+)\n", line)
        assert ready is not None, line
        assert get(ready[1], "/v1/models/m")[0] == 200
        assert get(ready[1], "/v1/models/m:predict")[0] == 400
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (0, "SIGTERM: stopping\n")
        lines = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
        assert any(line["message"] == "serving m version 1" for line in lines)
    finally:
        process.kill()
