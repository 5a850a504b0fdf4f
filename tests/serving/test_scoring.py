import base64
import csv
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest
import tensorflow as tf

from serving import scoring_input
from serving.client import PredictClient, RetryPolicy
from serving.columns import feature_types
from serving.errors import RequestFailedError
from serving.examples import encode_examples
from serving.local_model import LocalModel
from serving.scoring import ScoringResult, score_file
from serving.scoring_job import ScoringError, ScoringJob
from serving.server import ModelServer
from tests.conftest import ROOT

ROWS = 1_234


@pytest.fixture(scope="module")
def client(server: ModelServer) -> Iterator[PredictClient]:
    with PredictClient(server.address, "tiny") as client:
        yield client


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Rows with nulls in every column, in an order that is nobody's, with a column that the model does not know."""
    random = np.random.default_rng(5)

    def holes(values: object, dtype: pa.DataType) -> pa.Array:
        return pa.array(values, dtype, mask=random.random(ROWS) < 0.15)

    return pa.table(
        {
            "comment": [f'say "{i}", please' for i in range(ROWS)],
            "tab": holes(random.choice(["home", "search", "video", "NA"], ROWS), pa.string()),
            "price": holes(random.normal(0, 3, ROWS), pa.float64()),
            "user": holes([f"u{i}" for i in range(ROWS)], pa.string()),
            "item": holes(random.integers(0, 10**12, ROWS), pa.int64()),
        }
    )


@pytest.fixture(scope="module")
def expected(client: PredictClient, table: pa.Table) -> np.ndarray:
    """Scores through the other signature, missing values as the model's own defaults: no tf.Example in it."""
    outputs = client.predict_tensors(
        {
            "user": table["user"].fill_null("").to_pylist(),
            "item": table["item"].fill_null(-1).to_numpy(),
            "price": table["price"].fill_null(0.0).to_numpy().astype(np.float32),
            "tab": table["tab"].fill_null("").to_pylist(),
        }
    )
    return outputs["probability"]


def write(table: pa.Table, path: Path, client: PredictClient) -> Path:
    if path.suffix == ".csv":
        pyarrow.csv.write_csv(table, path)
    elif path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=500)
    else:
        types = feature_types(client.metadata().signature("serving_raw"))
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for example in encode_examples(table, types):
                writer.write(example)
    return path


def read(path: Path) -> pa.Table:
    return pyarrow.csv.read_csv(path) if path.suffix == ".csv" else pyarrow.parquet.read_table(path)


@pytest.mark.parametrize("source", ["rows.csv", "rows.parquet", "data_tfrecord-00000-of-00001.gz"])
@pytest.mark.parametrize("target", ["scores.csv", "scores.parquet"])
def test_every_row_in_order(
    client: PredictClient, table: pa.Table, expected: np.ndarray, tmp_path: Path, source: str, target: str
) -> None:
    job = ScoringJob(write(table, tmp_path / source, client), tmp_path / target, keys=("user", "item"), batch_size=100)
    result = score_file(client, job)
    scores = read(job.output)
    assert result.rows == ROWS
    assert scores.column_names == ["row", "user", "item", "score"]
    assert scores["row"].to_pylist() == list(range(ROWS))
    np.testing.assert_allclose(scores["score"].to_numpy(), expected, atol=1e-6)
    user = scores["user"] if target.endswith(".parquet") else pa.array(u or None for u in scores["user"].to_pylist())
    assert user.to_pylist() == table["user"].to_pylist()
    items = [None if i is None else int(i) for i in scores["item"].to_pylist()]
    assert items == table["item"].to_pylist()


def test_parquet_keeps_the_types_of_keys(client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
    source = write(table, tmp_path / "rows.parquet", client)
    score_file(client, ScoringJob(source, tmp_path / "s.parquet", keys=("comment", "price", "item")))
    assert read(tmp_path / "s.parquet").schema.types == [
        pa.int64(), pa.string(), pa.float64(), pa.int64(), pa.float32()
    ]  # fmt: skip


def test_without_keys_and_without_a_comma_problem(client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
    source = write(table, tmp_path / "rows.csv", client)
    score_file(client, ScoringJob(source, tmp_path / "s.csv"))
    assert (tmp_path / "s.csv").read_text().splitlines()[0] == "row,score"
    score_file(client, ScoringJob(source, tmp_path / "s.csv", keys=("comment",)))
    assert read(tmp_path / "s.csv")["comment"].to_pylist() == table["comment"].to_pylist()


@pytest.mark.parametrize(("limit", "rows"), [(0, 0), (1, 1), (250, 250), (5_000, ROWS)])
def test_limit(
    client: PredictClient, table: pa.Table, expected: np.ndarray, tmp_path: Path, limit: int, rows: int
) -> None:
    source = write(table, tmp_path / "rows.parquet", client)
    job = ScoringJob(source, tmp_path / "s.parquet", keys=("user",), batch_size=100, limit=limit)
    assert score_file(client, job).rows == rows
    np.testing.assert_allclose(read(job.output)["score"].to_numpy(), expected[:rows], atol=1e-6)
    assert read(job.output)["user"].to_pylist() == table["user"].to_pylist()[:rows]


def test_scores_do_not_depend_on_the_batch_size(client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
    source = write(table.slice(0, 60), tmp_path / "rows.parquet", client)
    columns = []
    for size in (1, 7, 1000):
        score_file(client, ScoringJob(source, tmp_path / f"{size}.parquet", batch_size=size))
        columns.append(read(tmp_path / f"{size}.parquet")["score"].to_numpy())
    np.testing.assert_allclose(columns[0], columns[2], atol=1e-6)
    np.testing.assert_allclose(columns[1], columns[2], atol=1e-6)


class SlowFirst:
    """A model whose later requests overtake the earlier ones, and that counts how many are under way."""

    def __init__(self, inner: PredictClient, fail_at: int | None = None) -> None:
        self.inner = inner
        self.fail_at = fail_at
        self.calls = 0
        self.under_way = 0
        self.most = 0
        self.lock = threading.Lock()

    def metadata(self):
        return self.inner.metadata()

    def feature_types(self):
        return self.inner.feature_types()

    def predict(self, examples):
        with self.lock:
            self.calls += 1
            call = self.calls
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        time.sleep(0.08 if call % 3 == 1 else 0.01)
        with self.lock:
            self.under_way -= 1
        if call == self.fail_at:
            raise RequestFailedError("host:1", grpc.StatusCode.DEADLINE_EXCEEDED, "too late")
        return self.inner.predict(examples)


def test_several_requests_are_under_way_and_rows_stay_in_order(
    client: PredictClient, table: pa.Table, expected: np.ndarray, tmp_path: Path
) -> None:
    source = write(table, tmp_path / "rows.parquet", client)
    slow = SlowFirst(client)
    score_file(slow, ScoringJob(source, tmp_path / "s.parquet", batch_size=100, in_flight=3))
    assert slow.most == 3
    np.testing.assert_allclose(read(tmp_path / "s.parquet")["score"].to_numpy(), expected, atol=1e-6)


def test_a_failed_request_leaves_the_old_output(client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
    source = write(table, tmp_path / "rows.parquet", client)
    for name in ("s.csv", "s.parquet"):
        output = tmp_path / name
        output.write_text("yesterday's")
        with pytest.raises(ScoringError) as caught:
            score_file(SlowFirst(client, fail_at=3), ScoringJob(source, output, batch_size=100, in_flight=1))
        assert str(caught.value) == "rows 200 to 299: host:1 answered DEADLINE_EXCEEDED: too late"
        assert output.read_text() == "yesterday's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "s.csv", "s.parquet"]


def test_an_output_is_not_there_before_it_is_whole(client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
    source = write(table, tmp_path / "rows.parquet", client)
    output = tmp_path / "s.csv"
    seen: list[bool] = []

    class Watching(SlowFirst):
        def predict(self, examples):
            seen.append(output.exists())
            return super().predict(examples)

    score_file(Watching(client), ScoringJob(source, output, batch_size=200))
    assert output.exists() and not any(seen)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "s.csv"]
    # The temporary file it was is the user's alone; the output is a file like any other.
    (tmp_path / "other").touch()
    assert output.stat().st_mode == (tmp_path / "other").stat().st_mode


class TestFailedRows:
    """Rows without a score are written aside; all others are scored, under their own numbers."""

    def score(self, client: object, source: Path, **options: object) -> tuple[ScoringResult, pa.Table, list[dict]]:
        result = score_file(client, ScoringJob(source, source.parent / "s.parquet", **options))  # type: ignore[arg-type]
        with (source.parent / "s.failed.csv").open(newline="") as file:
            failed = list(csv.DictReader(file))
        assert result.failed == len(failed)
        return result, read(source.parent / "s.parquet"), failed

    def test_values_that_do_not_fit_and_rows_of_another_length(self, client: PredictClient, tmp_path: Path) -> None:
        good = b"u,1,2.5,home\n"
        lines = [good] * 20_000
        for row, line in {
            0: b"short,1\n", 7: b"a,eleven,2,home\n", 8: b'long,1,2,"x\ny",5\n', 9000: b"b,1,cheap,home\n",
            15_000: b"c\xff,1,2,home\n", 15_001: b"d,one,two,home\n", 19_999: b"last\n",
        }.items():  # fmt: skip
            lines[row] = line
        (tmp_path / "rows.csv").write_bytes(b"user,item,price,tab\n" + b"".join(lines))
        result, scores, failed = self.score(client, tmp_path / "rows.csv", keys=("user",), batch_size=4000)
        rows = [0, 7, 8, 9000, 15_000, 15_001, 19_999]
        assert [int(row["row"]) for row in failed] == rows
        assert [row["reason"] for row in failed] == [
            "expected 4 columns, found 2",
            "column item: 'eleven' is not an int64",
            "expected 4 columns, found 5",
            "column price: 'cheap' is not a float",
            r"column user: b'c\xff' is not UTF-8 and is not a string",
            "column item: 'one' is not an int64",
            "expected 4 columns, found 1",
        ]
        assert json.loads(failed[1]["content"]) == {"item": "eleven", "price": "2", "tab": "home", "user": "a"}
        assert failed[2]["content"] == 'long,1,2,"x\ny",5'
        assert result.rows == 20_000 - len(rows)
        assert scores["row"].to_pylist() == sorted(set(range(20_000)) - set(rows))
        assert len(set(scores["score"].to_pylist())) == 1

    def test_rows_that_the_model_refuses(
        self, client: PredictClient, table: pa.Table, expected: np.ndarray, tmp_path: Path
    ) -> None:
        examples = encode_examples(table, client.feature_types())
        wrong = {0: b"\xff\xff", 500: b"no example", ROWS - 1: b"\xff"}
        with tf.io.TFRecordWriter(str(tmp_path / "r.tfrecord")) as writer:
            for row, example in enumerate(examples):
                writer.write(wrong.get(row, example))
        result, scores, failed = self.score(client, tmp_path / "r.tfrecord", keys=("item",), batch_size=300)
        assert [int(row["row"]) for row in failed] == sorted(wrong)
        assert all(row["reason"].startswith("Could not parse example input") for row in failed)
        assert base64.b64decode(failed[1]["content"]) == wrong[500]
        kept = [row for row in range(ROWS) if row not in wrong]
        assert scores["row"].to_pylist() == kept
        np.testing.assert_allclose(scores["score"].to_numpy(), expected[kept], atol=1e-6)
        assert scores["item"].to_pylist() == [table["item"].to_pylist()[row] for row in kept]

    def test_too_many_end_the_run(self, client: PredictClient, tmp_path: Path) -> None:
        text = "user,item,price,tab\n" + "a,x,2,home\n" * 20
        message = fails(client, tmp_path, text, max_failed=19)
        assert "more than 19 rows fail (--max-failed); row 19: column item: 'x' is not an int64" in message
        self.score(client, tmp_path / "rows.csv", max_failed=20)

    def test_an_older_list_goes_when_no_row_fails(self, client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
        source = write(table.slice(0, 10), tmp_path / "rows.parquet", client)
        (tmp_path / "s.failed.csv").write_text("yesterday's")
        assert score_file(client, ScoringJob(source, tmp_path / "s.csv")).failed == 0
        assert not (tmp_path / "s.failed.csv").exists()


class TestResume:
    def test_a_run_goes_on_where_another_ended(
        self, client: PredictClient, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(scoring_input, "CHUNK_ROWS", 100)
        source = write(table, tmp_path / "rows.parquet", client)
        job = ScoringJob(source, tmp_path / "s.csv", keys=("user",), batch_size=50, in_flight=1)
        score_file(client, job)
        whole = job.output.read_bytes()
        with pytest.raises(ScoringError, match="too late"):
            score_file(SlowFirst(client, fail_at=15), job)
        assert job.output.read_bytes() == whole, "an unfinished run must leave the output as it was"
        counting = SlowFirst(client)
        result = score_file(counting, job)
        assert result.resumed_at >= 500 and result.resumed_at % 100 == 0
        assert counting.calls == -(-(ROWS - result.resumed_at) // 50), "a row that was scored is scored again"
        assert job.output.read_bytes() == whole
        assert sorted(path.name for path in tmp_path.iterdir()) == ["rows.parquet", "s.csv"]

    @pytest.mark.parametrize("change", ["input", "keys", "restart"])
    def test_another_job_begins_anew(
        self, client: PredictClient, table: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
    ) -> None:
        monkeypatch.setattr(scoring_input, "CHUNK_ROWS", 100)
        source = write(table, tmp_path / "rows.parquet", client)
        job = ScoringJob(source, tmp_path / "s.parquet", batch_size=50, in_flight=1)
        with pytest.raises(ScoringError, match="too late"):
            score_file(SlowFirst(client, fail_at=15), job)
        if change == "input":
            table = table.slice(5)
            write(table, source, client)
        else:
            job = replace(job, **({"keys": ("user",)} if change == "keys" else {"restart": True}))
        assert score_file(client, job).resumed_at == 0
        assert read(job.output)["row"].to_pylist() == list(range(table.num_rows))

    def test_one_output_has_one_run_at_a_time(self, client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
        source = write(table, tmp_path / "rows.parquet", client)
        job = ScoringJob(source, tmp_path / "s.csv", batch_size=20)
        messages: list[str] = []

        class Meanwhile(SlowFirst):
            def predict(self, examples):
                if not messages:
                    messages.append("")
                    with pytest.raises(ScoringError) as caught:
                        score_file(client, job)
                    messages[0] = str(caught.value)
                return super().predict(examples)

        score_file(Meanwhile(client), job)
        assert messages == [f"another process is scoring into {job.output}"]

    @pytest.mark.slow
    def test_killed_at_random_moments(
        self, server: ModelServer, client: PredictClient, table: pa.Table, expected: np.ndarray, tmp_path: Path
    ) -> None:
        """SIGKILL, again and again, until a run gets through: the output is as if nothing had been."""
        random = np.random.default_rng(11)
        copies = 30
        wide = pa.concat_tables([table] * copies)
        source = write(wide, tmp_path / "rows.parquet", client)
        output = tmp_path / "s.parquet"
        command = [
            sys.executable, "-m", "crocodile", "score", "--address", server.address, "--model-name", "tiny",
            "--input", str(source), "--output", str(output), "--keys", "user", "--batch-size", "64", "--in-flight", "2",
        ]  # fmt: skip

        def start() -> subprocess.Popen[str]:
            return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

        for kill in range(3):
            process = start()
            while len(list(tmp_path.glob(".s.parquet.partial/*.arrow"))) <= kill:
                assert process.poll() is None, "the run ended before it could be killed"
                time.sleep(0.005)
            time.sleep(random.random() / 10)
            process.kill()
            process.communicate()
            assert not output.exists()
        process = start()
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0, out
        assert "by an earlier run" in out
        scores = read(output)
        assert scores["row"].to_pylist() == list(range(copies * ROWS))
        assert scores["user"].to_pylist() == wide["user"].to_pylist()
        np.testing.assert_allclose(scores["score"].to_numpy(), np.tile(expected, copies), atol=1e-6)


def test_without_a_server(
    exports: dict[int, Path], client: PredictClient, table: pa.Table, expected: np.ndarray, tmp_path: Path
) -> None:
    source = write(table, tmp_path / "rows.csv", client)
    for path, version in ((exports[1], 1), (exports[1].parent, 2)):
        with LocalModel(path) as model:
            assert model.metadata().version == version
            score_file(model, ScoringJob(source, tmp_path / f"{version}.parquet", keys=("user",), batch_size=100))
    score_file(client, ScoringJob(source, tmp_path / "s.parquet", keys=("user",)))
    first, second, served = (read(tmp_path / f"{name}.parquet") for name in "12s")
    assert first.schema == served.schema and first["user"] == served["user"]
    np.testing.assert_allclose(first["score"].to_numpy(), expected, atol=1e-6)
    assert np.abs(second["score"].to_numpy() - expected).max() > 0.1


def fails(client: object, tmp_path: Path, content: pa.Table | str, name: str = "rows.csv", **job: object) -> str:
    """Scores a file that must fail, and returns the message."""
    source = tmp_path / name
    if isinstance(content, str):
        source.write_text(content)
    else:
        write(content, source, client)  # type: ignore[arg-type]
    options = {"output": tmp_path / "s.csv"} | job
    with pytest.raises(ScoringError) as caught:
        score_file(client, ScoringJob(source, **options))  # type: ignore[arg-type]
    assert not (tmp_path / "s.csv").exists()
    return str(caught.value)


class TestBadInput:
    def test_missing_columns(self, client: PredictClient, tmp_path: Path) -> None:
        message = fails(client, tmp_path, "usr,tab,prices\na,home,1\n")
        assert message == (
            f"{tmp_path}/rows.csv: no column item, price (nearest: prices), user (nearest: usr), "
            "which the model needs; the columns are: usr, tab, prices"
        )
        parquet = pa.table({"user": ["a"], "item": [1], "price": [1.0]})
        assert "no column tab, which the model needs" in fails(client, tmp_path, parquet, "rows.parquet")

    def test_a_key_that_is_no_column(self, client: PredictClient, table: pa.Table, tmp_path: Path) -> None:
        message = fails(client, tmp_path, table, keys=("coment",))
        assert "no column coment (nearest: comment), which --keys names" in message

    def test_a_key_called_score(self, client: PredictClient, tmp_path: Path) -> None:
        text = "user,item,price,tab,score\na,1,2,home,3\n"
        assert "called score" in fails(client, tmp_path, text, keys=("score",))

    def test_a_value_beyond_the_limit_is_not_looked_at(self, client: PredictClient, tmp_path: Path) -> None:
        good = "user,item,price,tab\n" + "a,1,2,home\n"
        # In the block of the wanted rows, and in one behind it.
        for rest in ("a,eleven,2,home\n", "a,1,2,home\n" * 200_000 + "a,1\n"):
            (tmp_path / "rows.csv").write_text(good + rest)
            job = ScoringJob(tmp_path / "rows.csv", tmp_path / "s.csv", limit=1)
            assert score_file(client, job).rows == 1

    def test_a_repeated_column(self, client: PredictClient, tmp_path: Path) -> None:
        text = "user,item,price,tab,item\na,1,2,home,3\n"
        assert "more than one column is called item" in fails(client, tmp_path, text)

    def test_files_that_are_not_what_they_are_called(self, client: PredictClient, tmp_path: Path) -> None:
        assert "Empty CSV file" in fails(client, tmp_path, "")
        assert "Parquet" in fails(client, tmp_path, "not parquet", "rows.parquet")
        assert "record" in fails(client, tmp_path, "user,item\n" * 9, "rows.tfrecord")

    def test_names_that_say_no_format(self, client: PredictClient, tmp_path: Path) -> None:
        assert "cannot tell the format" in fails(client, tmp_path, "x", "rows.txt")
        assert ".parquet" in fails(client, tmp_path, "x", output=tmp_path / "scores.json")

    def test_paths(self, client: PredictClient, tmp_path: Path) -> None:
        with pytest.raises(ScoringError, match=r"input .*/nowhere\.csv is not there"):
            score_file(client, ScoringJob(tmp_path / "nowhere.csv", tmp_path / "s.csv"))
        assert "/no is not there" in fails(client, tmp_path, "x", output=tmp_path / "no" / "s.csv")

    def test_numbers(self, client: PredictClient, tmp_path: Path) -> None:
        assert "batch size" in fails(client, tmp_path, "x", batch_size=0)
        assert "in flight" in fails(client, tmp_path, "x", in_flight=0)
        assert "limit" in fails(client, tmp_path, "x", limit=-1)

    def test_a_model_without_the_raw_signature(self, server: ModelServer, table: pa.Table, tmp_path: Path) -> None:
        with PredictClient(server.address, "tiny", raw_signature="raw") as client:
            message = fails(client, tmp_path, table)
        assert message.startswith(
            "model tiny has no signature that names its raw features (--raw-signature); it has: add"
        )

    def test_no_server(self, tmp_path: Path) -> None:
        with PredictClient("127.0.0.1:1", retry=RetryPolicy(attempts=1)) as nobody:
            assert "127.0.0.1:1 answered UNAVAILABLE" in fails(nobody, tmp_path, "user\na\n")


def test_examples_need_no_raw_signature(
    client: PredictClient, server: ModelServer, table: pa.Table, expected: np.ndarray, tmp_path: Path
) -> None:
    source = write(table, tmp_path / "rows.tfrecord.gz", client)
    job = ScoringJob(source, tmp_path / "s.parquet", keys=("item", "nowhere"))
    with PredictClient(server.address, "tiny", raw_signature="none") as without:
        assert isinstance(score_file(without, job), ScoringResult)
    scores = read(job.output)
    np.testing.assert_allclose(scores["score"].to_numpy(), expected, atol=1e-6)
    # Without it a key's type is not known: text.
    assert scores["item"].to_pylist() == [None if i is None else str(i) for i in table["item"].to_pylist()]
    assert scores["nowhere"].null_count == ROWS


def test_csv_values_are_the_models_types_not_arrows_guess(client: PredictClient, tmp_path: Path) -> None:
    # To Arrow "0017" is a number and "NA" is missing; to this model both are text.
    (tmp_path / "rows.csv").write_text("user,item,price,tab\n0017,1,2,NA\n,1,2,\n")
    score_file(client, ScoringJob(tmp_path / "rows.csv", tmp_path / "s.csv", keys=("user", "tab")))
    lines = (tmp_path / "s.csv").read_text().splitlines()
    assert lines[1].startswith("0,0017,NA,")
    assert lines[2].startswith("1,,,")
    outputs = client.predict_tensors(
        {
            "user": ["0017", ""],
            "item": np.array([1, 1]),
            "price": np.float32([2, 2]),
            "tab": ["NA", ""],
        }
    )
    scores = [float(line.rpartition(",")[2]) for line in lines[1:]]
    np.testing.assert_allclose(scores, outputs["probability"], atol=1e-7)
