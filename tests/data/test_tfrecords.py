import gzip
from pathlib import Path

import pytest
import tensorflow as tf

from data.tfrecords import TFRecordError, read_records

RECORDS = [b"first", b"", b"x" * 100_000, b"last"]


def write(path: Path, compression: str = "") -> Path:
    with tf.io.TFRecordWriter(str(path), compression or None) as writer:
        for record in RECORDS:
            writer.write(record)
    return path


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_reads_what_tensorflow_writes(tmp_path: Path, compression: str) -> None:
    assert list(read_records(write(tmp_path / "r", compression))) == RECORDS


def test_an_empty_file_has_no_records(tmp_path: Path) -> None:
    (tmp_path / "r").write_bytes(b"")
    assert list(read_records(tmp_path / "r")) == []


@pytest.mark.parametrize("missing", [1, 5, 15])
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_cut_file_is_an_error(tmp_path: Path, missing: int, compression: str) -> None:
    path = write(tmp_path / "r", compression)
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(TFRecordError, match=str(path)):
        list(read_records(path))


def test_another_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "r"
    path.write_text("user,item\n" * 10)
    with pytest.raises(TFRecordError, match="not a TFRecord file"):
        list(read_records(path))
    path.write_bytes(gzip.compress(b"user"))
    with pytest.raises(TFRecordError, match="ends within the header of record 0"):
        list(read_records(path))
