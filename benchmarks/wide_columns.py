"""A log that is one wide CSV table, of any number of columns and rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.spec import DatasetSpec

_BATCH = 100_000
# Different values of the text columns, in turn.
_SIZES = (3, 8, 50, 1000, 20_000)
_FIRST_MS, _SPAN_MS = 1_650_816_000_000, 14 * 86_400_000


def wide_spec(columns: int) -> DatasetSpec:
    """A log of user, item, domain, label, time, and of text and numeric columns, five of text to one number."""
    others = [f"text_{n}" if n % 6 else f"number_{n}" for n in range(1, columns - 4)]
    features = [{"name": n, "kind": "numeric" if n.startswith("number") else "categorical"} for n in others]
    return DatasetSpec.model_validate(
        {
            "name": f"wide_{columns}",
            "layout": "csv",
            "roles": {
                "user": "user_id",
                "item": "video_id",
                "domain": "tab",
                "label": "is_click",
                "time": {"column": "time_ms"},
            },
            "domains": [0, 1, 2, 4, 6],
            "features": [
                {"name": "user_id", "dtype": "int64"},
                {"name": "video_id", "dtype": "int64"},
                {"name": "tab", "dtype": "int64"},
                *features,
            ],
            "split": {
                "train": {"first": "2022-04-24", "last": "2022-05-06"},
                "validation": {"first": "2022-05-07", "last": "2022-05-07"},
                "test": {"first": "2022-05-08", "last": "2022-05-09"},
            },
        }
    )


def write_wide_log(folder: Path, columns: int, rows: int, seed: int) -> None:
    """Writes `log.csv`; the same seed gives the same rows, of which a shorter log has the first."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = wide_spec(columns)
    with (folder / "log.csv").open("wb") as file:
        for start in range(0, rows, _BATCH):
            part = _rows(spec, np.random.default_rng([seed, columns, start])).slice(0, rows - start)
            if not start:
                file.write((",".join(part.column_names) + "\n").encode())
            # Not Arrow's writer: it quotes names, and CsvExampleGen takes quotes for a part of them.
            texts = [column.cast(pa.string()) for column in part.columns]
            lines = pc.binary_join_element_wise(*texts, ",")
            file.write(("\n".join(lines.to_pylist()) + "\n").encode())


def _rows(spec: DatasetSpec, rng: np.random.Generator) -> pa.Table:
    table = {
        "user_id": rng.zipf(1.3, _BATCH) % 50_000,
        "video_id": rng.zipf(1.2, _BATCH) % 200_000,
        "tab": rng.choice([0, 1, 2, 4, 6], _BATCH),
        "is_click": rng.integers(0, 2, _BATCH),
        # In no order of time, so that each split has the same share of a log of any length.
        "time_ms": _FIRST_MS + rng.integers(0, _SPAN_MS, _BATCH),
    }
    for number, feature in enumerate(spec.features[3:]):
        if feature.kind == "numeric":
            table[feature.name] = np.round(rng.gamma(2, 20, _BATCH), 2)
        else:
            size = _SIZES[number % len(_SIZES)]
            words = pa.array([f"v{value}" for value in range(size)])
            table[feature.name] = words.take(pa.array((rng.pareto(1.2, _BATCH) * size / 20).astype(np.int64) % size))
    return pa.table(table)
