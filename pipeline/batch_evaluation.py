"""Batch evaluation: a SavedModel over one split of a log, with its predictions and exact metrics."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import InputError
from data.example_encoding import encode_examples
from data.ingest import split_batches
from data.progress import RowProgress
from data.readers import open_reader
from data.split_spec import Split
from models.export import EXAMPLES, PROBABILITY, SERVING_DEFAULT
from models.metrics.domain_summary import DomainSummary, per_domain
from pipeline.provenance import provenance
from pipeline.report import write_json
from pipeline.settings import RunConfig
from serving.servable import Servable
from serving.versions import latest_version


def evaluate(
    config: RunConfig, model: Path, data_dir: str | Path, split: Split, output: Path, batch_size: int = 4096
) -> DomainSummary:
    """Scores a split, and writes `predictions.parquet` and `metrics.json`.

    Args:
      config: Describes the log.
      model: A SavedModel's folder, or a base path whose newest version is taken.
      data_dir: Folder of the log's files, or its URI.
      split: Which rows.
      output: Folder of the results; each file appears whole or not at all.
      batch_size: Rows a call of the model.

    Returns:
      Overall and per-domain metrics.

    Raises:
      data.errors.InputError: If the log is not what the config says.
    """
    spec = config.dataset
    roles = spec.roles
    keys = list(dict.fromkeys((roles.user, roles.item, roles.domain, roles.label, roles.time.column)))
    path = model if (model / "saved_model.pb").exists() else latest_version(model)[1]
    tables: list[pa.Table] = []
    reader = open_reader(spec, data_dir)
    with (
        Servable(path) as servable,
        RowProgress(f"scoring {split}", reader.num_rows_hint()) as progress,
    ):
        for part, batch in split_batches(reader, spec, progress=progress):
            if part != split:
                continue
            examples = np.concatenate([part.to_numpy(zero_copy_only=False) for part in encode_examples(batch)])
            scores = [
                servable.predict(SERVING_DEFAULT, {EXAMPLES: examples[start : start + batch_size]})[PROBABILITY]
                for start in range(0, len(examples), batch_size)
            ]
            kept = pa.Table.from_batches([batch]).select(keys)
            tables.append(kept.append_column(PROBABILITY, pa.array(np.concatenate(scores), pa.float32())))
    if not tables:
        raise InputError(f"{data_dir}: the {split} split of the config has no rows in this log")
    predictions = pa.concat_tables(tables)
    summary = per_domain(
        predictions[roles.label].to_numpy(),
        predictions[PROBABILITY].to_numpy(),
        predictions[roles.user].to_numpy(),
        predictions[roles.domain].to_numpy(),
        spec.domains,
    )
    output.mkdir(parents=True, exist_ok=True)
    unfinished = output / ".predictions.parquet.unfinished"
    pq.write_table(predictions, unfinished)
    os.replace(unfinished, output / "predictions.parquet")
    write_json(output / "metrics.json", {**summary, "model": str(path), "split": split, **provenance(config)})
    return summary
