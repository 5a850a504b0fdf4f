"""TFRecords of tf.Examples to score: they are sent as they are, and their keys read from them."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError

from data.several_values import is_list
from data.tfrecords import read_records
from serving.columns import Columns
from serving.protos import Example
from serving.scoring_chunk import CHUNK_ROWS, ScoringChunk


class TFRecordSource:
    """A TFRecord file of tf.Examples, which are sent as they are.

    Args:
        path: The file.
        types: The model's features, for the types of keys among them; other keys are text.
        keys: Features that are copied to the output: their first value, null where absent.
    """

    def __init__(self, path: Path, types: Columns, keys: Sequence[str]) -> None:
        self.key_types = {name: _single(types.get(name, pa.string())) for name in keys}
        self._path = path

    def count(self) -> int:
        """Returns the number of records."""
        return sum(1 for _ in read_records(self._path))

    def chunks(self, start: int = 0, limit: int | None = None) -> Iterator[ScoringChunk]:
        """Yields the rows from ``start`` on, those before ``limit``, in order."""
        records = islice(read_records(self._path), start, None if limit is None else max(start, limit))
        first = start
        while examples := list(islice(records, CHUNK_ROWS)):
            rows = np.arange(first, first + len(examples))
            first += len(examples)
            yield ScoringChunk(rows, examples, self._keys_of(examples), [], _Base64(examples), first)

    def _keys_of(self, examples: list[bytes]) -> dict[str, pa.Array]:
        if not self.key_types:
            return {}
        parsed = [_features(example) for example in examples]
        keys: dict[str, pa.Array] = {}
        for name, wanted in self.key_types.items():
            values: list[Any] = [_first_value(row[name]) if name in row else None for row in parsed]
            if wanted == pa.string():
                values = [None if value is None else _text(value) for value in values]
            keys[name] = pa.array(values, wanted)
        return keys


@dataclass(frozen=True)
class _Base64:
    """Shows a serialized tf.Example."""

    examples: list[bytes]

    def __call__(self, at: int) -> str:
        return base64.b64encode(self.examples[at]).decode()


def _features(example: bytes) -> Any:
    try:
        return Example.FromString(example).features.feature
    except DecodeError:  # the server will say what is wrong with it
        return {}


def _first_value(feature: Any) -> bytes | int | float | None:
    kind = feature.WhichOneof("kind")
    values: Sequence[Any] = getattr(feature, kind).value if kind else ()
    return values[0] if len(values) else None


def _single(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if is_list(kind) else kind


def _text(value: bytes | int | float) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
