"""LogExampleGen: a raw impression log to tf.Examples, one split per time range."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
from tfx import types
from tfx.components.example_gen import utils as example_gen_utils
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tqdm import tqdm

from data.fingerprint import fingerprint
from data.ingest import IngestionCounts, split_batches
from data.quarantine import QuarantineFile
from data.readers import open_reader
from data.row_ledger import TakeWrongRows
from data.spec import DatasetSpec
from data.split_spec import SPLITS
from data.storage import DataPath
from pipeline.example_encoding import ExampleEncoder
from pipeline.source_fingerprint import source_fingerprint

ROWS_PER_SHARD = 1_000_000
QUARANTINE = "quarantine.parquet"
ROW_COUNTS = "row_counts.json"


class LogExampleGenSpec(component_spec.ComponentSpec):
    """Inputs, outputs and properties of LogExampleGen."""

    PARAMETERS = {
        "dataset": component_spec.ExecutionParameter(type=str),
        "data_dir": component_spec.ExecutionParameter(type=str),
        "input_fingerprint": component_spec.ExecutionParameter(type=str),
        "code_fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {"examples": component_spec.ChannelParameter(type=standard_artifacts.Examples)}


class _SplitWriter:
    """Writes one split's serialized examples into shards of bounded size."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._writer: tf.io.TFRecordWriter | None = None
        self._shard = 0
        self._rows = 0
        tf.io.gfile.makedirs(folder)

    def write(self, examples: list[bytes]) -> None:
        if self._writer is None or self._rows >= ROWS_PER_SHARD:
            self.close()
            path = os.path.join(self._folder, f"data_tfrecord-{self._shard:05d}")
            # Uncompressed: gzip alone would take more than half of the ingestion's time.
            self._writer = tf.io.TFRecordWriter(path)
            self._shard += 1
            self._rows = 0
        for example in examples:
            self._writer.write(example)
        self._rows += len(examples)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class LogExampleGenExecutor(base_executor.BaseExecutor):
    """Reads the log batch by batch and writes every split; no row becomes a Python object on the way."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `Split-train`, `Split-validation` and `Split-test` as uncompressed TFRecords of tf.Examples.

        Where the spec has a quarantine, the wrong rows lie beside them in `quarantine.parquet`. `row_counts.json` and
        the artifact's custom properties say where every row went.

        Raises:
          data.errors.InputError: If the log is not what the dataset spec says.
          RuntimeError: If the rows written are not the rows read less those left out.
        """
        spec = DatasetSpec.model_validate_json(exec_properties["dataset"])
        reader = open_reader(spec, exec_properties["data_dir"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        examples.split_names = artifact_utils.encode_split_names(list(SPLITS))
        encoder = ExampleEncoder()
        writers = {split: _SplitWriter(artifact_utils.get_split_uri([examples], split)) for split in SPLITS}
        counts = IngestionCounts()
        written = 0
        try:
            with (
                _quarantine(spec, examples.uri) as take_wrong_rows,
                tqdm(desc="LogExampleGen", unit=" rows", unit_scale=True, disable=None) as progress,
            ):
                for split, batch in split_batches(reader, spec, counts, take_wrong_rows):
                    writers[split].write(encoder.encode(batch))
                    written += batch.num_rows
                    progress.update(batch.num_rows)
        finally:
            for writer in writers.values():
                writer.close()
        if written != counts.kept.total():
            raise RuntimeError(f"{written} rows were written, but {counts.kept.total()} were kept")
        for name, number in _properties(counts).items():
            examples.set_int_custom_property(name, number)
        with tf.io.gfile.GFile(os.path.join(examples.uri, ROW_COUNTS), "w") as file:
            file.write(json.dumps(counts.as_dict(), indent=2) + "\n")


@contextlib.contextmanager
def _quarantine(spec: DatasetSpec, uri: str) -> Iterator[TakeWrongRows | None]:
    """Takes the wrong rows; their file, written on this machine, is put in the artifact's folder at the end."""
    if not spec.quarantine.max_share:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / QUARANTINE
        with QuarantineFile(path) as file:
            yield file.write
        tf.io.gfile.copy(str(path), os.path.join(uri, QUARANTINE))


def _properties(counts: IngestionCounts) -> dict[str, int]:
    """Where every row went, as an artifact's properties."""
    return {
        "rows_in": counts.rows,
        "rows_kept": counts.kept.total(),
        "rows_of_other_domains": counts.other_domains.total(),
        "rows_of_other_periods": counts.other_periods,
        "rows_quarantined": counts.quarantined.total(),
        **{f"rows_quarantined_{reason}": number for reason, number in counts.quarantined.items()},
        **{f"rows_dropped_{reason.replace(' ', '_')}": number for reason, number in counts.dropped.items()},
    }


class LogExampleGen(base_component.BaseComponent):
    """TFX component: a log described by a dataset spec, as examples in train, validation and test splits."""

    SPEC_CLASS = LogExampleGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(LogExampleGenExecutor)

    def __init__(self, dataset: DatasetSpec, data_dir: str) -> None:
        """Describes the component.

        Args:
          dataset: The log's description.
          data_dir: Folder of the log's files, or its URI.
        """
        folder = DataPath.of(data_dir)
        examples = types.Channel(type=standard_artifacts.Examples)
        examples.additional_properties[example_gen_utils.SPAN_PROPERTY_NAME] = 0
        super().__init__(
            LogExampleGenSpec(
                dataset=dataset.model_dump_json(),
                data_dir=data_dir,
                # A folder that only the workers see cannot be looked into from here.
                input_fingerprint=fingerprint(open_reader(dataset, folder).files()) if folder.exists() else "",
                code_fingerprint=source_fingerprint("data"),
                examples=examples,
            )
        )
