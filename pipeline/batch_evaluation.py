"""Batch evaluation: a model over one split of a log, with its predictions, exact metrics, and a rival beside it."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import InputError
from data.ingest import split_batches
from data.progress import RowProgress
from data.readers import open_reader
from data.split_spec import Split
from models.metrics.bootstrap import Bootstrap
from models.metrics.comparison import compare
from models.metrics.domain_summary import DOMAINS, DomainSummary, domain_summary
from models.metrics.judgement import Judgement
from models.metrics.row_store import RowStore
from models.signature_names import PROBABILITY
from pipeline.json_file import write_json
from pipeline.provenance import provenance
from pipeline.read_ahead import read_ahead
from pipeline.row_slices import RowSlices, named_column, texts
from pipeline.scorers import Scorer
from pipeline.settings import RunConfig

BASELINE = f"baseline_{PROBABILITY}"
# Rows that are read while the model scores those before: small enough that both have work from the start.
_ROWS_A_PART = 16_384
# A call of a model does not keep all cores busy from its beginning to its end; some at once do.
_PARTS_IN_FLIGHT = 3

_Scores = npt.NDArray[np.float32]
_Scored = tuple[pa.RecordBatch, dict[str, _Scores]]


@dataclass(frozen=True)
class Evaluation:
    """What was found.

    Attributes:
      summary: Overall and per-domain metrics of the model.
      slices: Metrics of every slice of every further division, largest slices first.
      comparison: By division, slice and metric, against the baseline; None without one.
      method: How the metrics were computed, in words.
    """

    summary: DomainSummary
    slices: dict[str, dict[str, Any]]
    comparison: dict[str, Any] | None
    method: str


def evaluate(
    config: RunConfig,
    scorer: Scorer,
    data_dir: str | Path,
    split: Split,
    output: Path,
    *,
    baseline: Scorer | None = None,
    slices: Sequence[str] = (),
    batch_size: int = 4096,
    max_slices: int = 100,
) -> Evaluation:
    """Scores a split, and writes `predictions.parquet` and `metrics.json`.

    Args:
      config: Describes the log; its `evaluation` section says what the gAUC is the mean over, and how intervals are
        found, and how many rows are held before sorted runs go to a temporary folder in `output`.
      scorer: The model.
      data_dir: Folder of the log's files, or its URI.
      split: Which rows.
      output: Folder of the results; each file appears whole or not at all.
      baseline: A model to compare with, on the same rows.
      slices: What to slice by besides the domain, see `RowSlices`.
      batch_size: Rows a call of the model.
      max_slices: Slices of a division that are reported, those with the most rows.

    Returns:
      What was found.

    Raises:
      data.errors.InputError: If the log is not what the config says, or a slice is not known.
      serving.errors.ServingError: If a model refuses or fails.
    """
    spec, gate = config.dataset, config.evaluation
    roles = spec.roles
    keys = list(dict.fromkeys((roles.user, roles.item, roles.domain, roles.label, roles.time.column)))
    reader = open_reader(spec, data_dir)
    divisions = RowSlices(slices, spec, reader.schema().names)
    if divisions.needs_training_rows:
        with RowProgress("users and items of the training rows", reader.num_rows_hint()) as reading:
            parts = split_batches(reader, spec, progress=reading)
            divisions.learn(batch for part, batch in parts if part == "train")
    bootstrap = Bootstrap(gate.replicates, gate.confidence, gate.bootstrap_seed)
    scorers = {PROBABILITY: scorer} | ({BASELINE: baseline} if baseline is not None else {})

    def read() -> Iterator[pa.RecordBatch]:
        for part, batch in split_batches(reader, spec, progress=progress):
            if part == split:
                for start in range(0, batch.num_rows, _ROWS_A_PART):
                    yield batch.slice(start, _ROWS_A_PART)

    def scored() -> Generator[_Scored, None, None]:
        waiting: deque[tuple[pa.RecordBatch, dict[str, Future[_Scores]]]] = deque()

        def first() -> _Scored:
            batch, answers = waiting.popleft()
            return batch, {column: answer.result() for column, answer in answers.items()}

        with ThreadPoolExecutor(_PARTS_IN_FLIGHT) as pool, closing(read_ahead(read())) as parts:
            for batch in parts:
                answers = {column: pool.submit(model.score, batch, batch_size) for column, model in scorers.items()}
                waiting.append((batch, answers))
                if len(waiting) > _PARTS_IN_FLIGHT:
                    yield first()
            while waiting:
                yield first()

    progress = RowProgress(f"scoring {split}", reader.num_rows_hint())
    output.mkdir(parents=True, exist_ok=True)
    unfinished = output / ".predictions.parquet.unfinished"
    with ExitStack() as stack:
        stack.callback(unfinished.unlink, missing_ok=True)
        stack.enter_context(progress)
        names = [DOMAINS, *divisions.names]
        stores = {
            column: stack.enter_context(RowStore(names, gate.max_rows_in_memory, output)) for column in scorers
        }  # fmt: skip
        writer: pq.ParquetWriter | None = None
        with closing(scored()) as batches:
            for batch, answers in batches:
                table = pa.Table.from_batches([batch]).select(keys)
                rows = divisions.of(batch) | {DOMAINS: _column(batch, roles.domain)}
                for column, scores in answers.items():
                    _check(scores, batch.num_rows, scorers[column])
                    stores[column].add(
                        _column(batch, roles.label), scores, _groups(batch, config.group_key, keys), rows
                    )  # fmt: skip
                    table = table.append_column(column, pa.array(scores, pa.float32()))
                if writer is None:
                    # Of ids and scores a dictionary would take time, and more room than it saves.
                    text_columns = [field.name for field in table.schema if pa.types.is_string(field.type)]
                    writer = stack.enter_context(
                        pq.ParquetWriter(unfinished, table.schema, use_dictionary=text_columns)
                    )
                writer.write_table(table)
        if writer is None:
            raise InputError(f"{data_dir}: the {split} split of the config has no rows in this log")
        writer.close()
        judged = {column: store.judge(bootstrap, gate.min_group_rows) for column, store in stores.items()}
        method = stores[PROBABILITY].method
        os.replace(unfinished, output / "predictions.parquet")
    summary = domain_summary(judged[PROBABILITY], spec.domains)
    largest = {name: _largest(judged[PROBABILITY], name, max_slices) for name in divisions.names}
    comparison = None
    if baseline is not None:
        reported = judged[PROBABILITY] | {
            name: {one: judged[PROBABILITY][name][one] for one in found["records"]} for name, found in largest.items()
        }
        comparison = compare(reported, judged[BASELINE], gate.confidence)
    found = Evaluation(summary=summary, slices=largest, comparison=comparison, method=method)
    write_json(output / "metrics.json", _as_json(config, found, scorer, baseline, split))
    return found


def _as_json(
    config: RunConfig, found: Evaluation, scorer: Scorer, baseline: Scorer | None, split: Split
) -> dict[str, Any]:
    gate = config.evaluation
    content: dict[str, Any] = {**found.summary, "slices": found.slices}
    if found.comparison is not None and baseline is not None:
        content["comparison"] = {"baseline": baseline.name, **found.comparison}
    return {
        **content,
        "model": scorer.name,
        "split": split,
        "method": {
            "metrics": found.method,
            "gauc_groups": config.group_key,
            "min_group_rows": gate.min_group_rows,
            "intervals": f"percentile bootstrap over {config.group_key}, Poisson weights" if gate.replicates else None,
            "replicates": gate.replicates,
            "confidence": gate.confidence,
            "seed": gate.bootstrap_seed,
        },
        **provenance(config),
    }


def _largest(judgement: Judgement, division: str, most: int) -> dict[str, Any]:
    """Records of the largest slices, and how many others there are."""
    slices = judgement[division]
    order = sorted(slices, key=lambda name: -slices[name].summary["rows"])[:most]
    # In the order of the names again, in which they are easier to read.
    records = {name: slices[name].summary for name in slices if name in set(order)}
    return {"records": records, "slices_left_out": len(slices) - len(records)}


def _column(batch: pa.RecordBatch, name: str) -> np.ndarray:
    return named_column(batch, name).to_numpy(zero_copy_only=False)


def _groups(batch: pa.RecordBatch, name: str, required: Sequence[str]) -> np.ndarray:
    """The column that the gAUC is the mean over.

    Where values may be missing, all are text, in every batch: 17 and "17" would be two groups.
    """
    return _column(batch, name) if name in required else texts(named_column(batch, name))


def _check(scores: np.ndarray, rows: int, model: Scorer) -> None:
    if scores.shape != (rows,):
        raise InputError(f"{model.name} answered {rows} rows with scores of shape {list(scores.shape)}")
    wrong = np.flatnonzero(np.isnan(scores))
    if wrong.size:
        raise InputError(f"{model.name} answered {wrong.size} of {rows} rows with NaN")
