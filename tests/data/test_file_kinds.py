"""One log, written in every kind of file: compressed text, partition folders, TFRecords."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from data.checks import check_input
from data.errors import InputError
from data.readers import open_reader
from tests.data.test_readers import WIDE_HEADER, read, wide_spec

ROWS = [f'u{n},i{n % 7},a,{n % 2},{n + 1},{n if n % 3 else ""},{n},"{n},\né"' for n in range(2000)]
TEXT = "\n".join([WIDE_HEADER, *ROWS]) + "\n"


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


@pytest.fixture
def plain(tmp_path: Path) -> pa.Table:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "log.csv").write_text(TEXT)
    return read(wide_spec(), tmp_path / "plain").combine_chunks()


@pytest.mark.parametrize(("name", "compress"), [("log.csv.gz", gzip.compress), ("log.csv.zst", zstd)])
@pytest.mark.parametrize("block_size", [None, 4096])
def test_compressed_text_is_the_same_log(
    tmp_path: Path, plain: pa.Table, name: str, compress: Callable[[bytes], bytes], block_size: int | None
) -> None:
    path = tmp_path / name
    path.write_bytes(compress(b"\xef\xbb\xbf" + TEXT.encode()))
    reader = open_reader(wide_spec(), tmp_path, block_size)
    reader.check_files()
    assert pa.Table.from_batches(list(reader.batches())).combine_chunks() == plain
    assert reader.num_rows_hint() > 0


def test_rows_of_a_compressed_file_are_estimated(tmp_path: Path) -> None:
    lines = "u,i,a,1,5,3,1,n\n" * 400_000
    (tmp_path / "log.csv.gz").write_bytes(gzip.compress(f"{WIDE_HEADER}\n{lines}".encode()))
    assert open_reader(wide_spec(), tmp_path).num_rows_hint() == pytest.approx(400_000, rel=0.5)


def test_places_in_a_compressed_file_are_those_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(f'{WIDE_HEADER}\nu,i,a,1,1,1,1,"x\ny"\nu,i,a,2,1,1,1,x\n'.encode()))
    with pytest.raises(InputError, match="log.csv.gz, line 4, column 'click': found '2', expected 0 or 1"):
        read(wide_spec(), tmp_path)
    path.write_bytes(gzip.compress(f"{WIDE_HEADER}\nu,i,a,1,1\n".encode()))
    with pytest.raises(InputError, match="log.csv.gz, line 2: found 5 values, expected 8 as in the header"):
        read(wide_spec(), tmp_path)


@pytest.mark.parametrize(("name", "compress"), [("log.csv.gz", gzip.compress), ("log.csv.zst", zstd)])
def test_a_download_that_was_cut_off_is_noticed(tmp_path: Path, name: str, compress: Callable[[bytes], bytes]) -> None:
    content = compress(TEXT.encode())
    (tmp_path / name).write_bytes(content[:-9])
    message = f"{tmp_path / name}: the file cannot be read: Truncated compressed stream"
    for use in (lambda: check_input(wide_spec(), tmp_path), lambda: read(wide_spec(), tmp_path)):
        with pytest.raises(InputError) as caught:
            use()
        assert str(caught.value) == message


def test_a_file_that_is_not_what_its_name_says(tmp_path: Path) -> None:
    (tmp_path / "log.csv.gz").write_text(TEXT)
    with pytest.raises(InputError, match="log.csv.gz: the file cannot be read: zlib inflate failed"):
        read(wide_spec(), tmp_path)


def test_a_file_that_vanishes(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(TEXT)
    reader = open_reader(wide_spec(), tmp_path)
    (tmp_path / "log.csv").unlink()
    with pytest.raises(InputError, match="log.csv: the file cannot be read: .*No such file"):
        list(reader.batches())


def test_several_files_by_glob(tmp_path: Path, plain: pa.Table) -> None:
    for day, rows in (("1", ROWS[:500]), ("2", ROWS[500:])):
        (tmp_path / f"day{day}").mkdir()
        (tmp_path / f"day{day}" / "x.csv").write_text("\n".join([WIDE_HEADER, *rows]) + "\n")
    assert read(wide_spec(files={"log": ["day*/*.csv"]}), tmp_path).combine_chunks() == plain
    with pytest.raises(InputError, match="no file day9/"):
        open_reader(wide_spec(files={"log": ["day1/*.csv", "day9/*.csv"]}), tmp_path)


def test_partition_folders_are_columns(tmp_path: Path, plain: pa.Table) -> None:
    table = plain.drop(["tab", "city"])
    for city, first in (("7", 0), ("__HIVE_DEFAULT_PARTITION__", 1000)):
        folder = tmp_path / "tab=a%2Fb" / f"city={city}"
        folder.mkdir(parents=True)
        pq.write_table(table.slice(first, 1000), folder / "part-0.parquet")
    found = read(wide_spec("parquet", roles=in_ms()), tmp_path)
    assert found["city"].to_pylist() == [7] * 1000 + [None] * 1000
    assert set(found["tab"].to_pylist()) == {"a/b"}
    assert found["user"].to_pylist() == plain["user"].to_pylist()


def in_ms() -> dict[str, Any]:
    return {"user": "user", "item": "item", "domain": "tab", "label": "click", "time": {"column": "time"}}


def write_tfrecord(path: Path, rows: list[dict[str, Any]], compression: str | None = None) -> None:
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for row in rows:
            example = tf.train.Example()
            for name, value in row.items():
                feature = example.features.feature[name]
                if isinstance(value, list):
                    feature.int64_list.value.extend(value)
                elif isinstance(value, str):
                    feature.bytes_list.value.append(value.encode())
                elif isinstance(value, float):
                    feature.float_list.value.append(value)
                elif value is not None:
                    feature.int64_list.value.append(value)
            writer.write(example.SerializeToString())


@pytest.mark.parametrize(("name", "compression"), [("log.tfrecord", None), ("data_tfrecord-00000.gz", "GZIP")])
@pytest.mark.parametrize("block_size", [None, 300])
def test_tfrecords_are_the_same_log(
    tmp_path: Path, plain: pa.Table, name: str, compression: str | None, block_size: int | None
) -> None:
    write_tfrecord(tmp_path / name, plain.to_pylist(), compression)
    spec = wide_spec("tfrecord", roles=in_ms())
    reader = open_reader(spec, tmp_path, block_size)
    reader.check_files()
    assert pa.Table.from_batches(list(reader.batches())).combine_chunks() == plain
    assert reader.num_rows_hint() == pytest.approx(2000, rel=0.3)


def test_wrong_tfrecords(tmp_path: Path, plain: pa.Table) -> None:
    path = tmp_path / "log.tfrecord"
    spec = wide_spec("tfrecord", roles=in_ms())
    rows = plain.slice(0, 3).to_pylist()
    write_tfrecord(path, [*rows, {**rows[0], "click": 5}])
    with pytest.raises(InputError, match="log.tfrecord, record 4, column 'click': found 5, expected 0 or 1"):
        read(spec, tmp_path)
    write_tfrecord(path, [rows[0], {**rows[0], "city": [1, 2]}])
    with pytest.raises(InputError, match="record 2, column 'city': found 2 values, expected at most one"):
        read(spec, tmp_path)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="log.tfrecord: ends within record 1"):
        open_reader(spec, tmp_path).check_files()
    path.write_bytes(b"")
    with pytest.raises(InputError, match="log.tfrecord: the file has no records"):
        read(spec, tmp_path)
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(b"\xff\xff")
    with pytest.raises(InputError, match="log.tfrecord: a record of 1 to 1 is no tf.Example"):
        read(spec, tmp_path)
