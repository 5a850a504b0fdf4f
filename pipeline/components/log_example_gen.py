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
from tfx.components.util import examples_utils
from tfx.dsl.components.base import base_beam_component, base_beam_executor, executor_spec
from tfx.proto import example_gen_pb2
from tfx.types import artifact_utils, component_spec, standard_artifacts

from data.fingerprint import fingerprint
from data.ingest import IngestionCounts, split_batches
from data.progress import RowProgress
from data.quarantine import QuarantineFile
from data.readers import open_reader
from data.row_ledger import TakeWrongRows
from data.shard_files import ShardTask, shard_task, write_shard
from data.shards import even_shards, rows_per_shard
from data.spec import DatasetSpec
from data.split_spec import SPLITS
from data.storage import DataPath
from data.worker_pool import WorkerPool
from pipeline.local_workers import local_workers
from pipeline.source_fingerprint import source_fingerprint
from pipeline.unfinished_folder import unfinished_folder

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
    OUTPUTS = {
        "examples": component_spec.ChannelParameter(type=standard_artifacts.Examples),
        "columns": component_spec.ChannelParameter(type=standard_artifacts.Examples),
    }


class LogExampleGenExecutor(base_beam_executor.BaseBeamExecutor):
    """Reads the log batch by batch and writes every split; no row becomes a Python object on the way.

    This process reads, checks, joins and divides the log; the workers encode and write its shards. Which row lies in
    which shard does not depend on their number.
    """

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Writes `Split-train`, `Split-validation` and `Split-test`, each as TFRecords of tf.Examples and as Parquet.

        Where the spec has a quarantine, the wrong rows lie beside the examples in `quarantine.parquet`.
        `row_counts.json` and the artifact's custom properties say where every row went. The files appear when the last
        row is written, and not before.

        Raises:
          data.errors.InputError: If the log is not what the dataset spec says.
          RuntimeError: If the rows written are not the rows read less those left out.
        """
        spec = DatasetSpec.model_validate_json(exec_properties["dataset"])
        reader = open_reader(spec, exec_properties["data_dir"])
        examples = artifact_utils.get_single_instance(output_dict["examples"])
        columns = artifact_utils.get_single_instance(output_dict["columns"])
        examples_utils.set_payload_format(columns, example_gen_pb2.FORMAT_PARQUET)
        counts = IngestionCounts()
        rows = reader.num_rows_hint()
        values = len(reader.schema()) + sum((field.width or 1) - 1 for field in spec.raw_inputs)
        with (
            unfinished_folder(examples.uri) as examples_folder,
            unfinished_folder(columns.uri) as columns_folder,
            _quarantine(spec, examples_folder) as take_wrong_rows,
            WorkerPool(local_workers(self._beam_pipeline_args)) as workers,
            RowProgress("LogExampleGen", rows) as progress,
        ):

            def tasks() -> Iterator[ShardTask]:
                batches = split_batches(reader, spec, counts, take_wrong_rows)
                for shard in even_shards(batches, rows_per_shard(rows, values)):
                    folder, name = f"Split-{shard.split}", f"{shard.number:05d}"
                    yield shard_task(
                        shard.rows,
                        f"{examples_folder}/{folder}/data_tfrecord-{name}",
                        f"{columns_folder}/{folder}/columns-{name}.parquet",
                    )

            written = 0
            for shard_rows in workers.map(write_shard, tasks()):
                written += shard_rows
                progress.update(shard_rows)
            if written != counts.kept.total():
                raise RuntimeError(f"{written} rows were written, but {counts.kept.total()} were kept")
            with tf.io.gfile.GFile(os.path.join(examples_folder, ROW_COUNTS), "w") as file:
                file.write(json.dumps(counts.as_dict(), indent=2) + "\n")
        for artifact in (examples, columns):
            artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
            for split in SPLITS:  # One without rows has a folder nevertheless.
                tf.io.gfile.makedirs(artifact_utils.get_split_uri([artifact], split))
        for name, number in _properties(counts).items():
            examples.set_int_custom_property(name, number)


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


class LogExampleGen(base_beam_component.BaseBeamComponent):
    """TFX component: a log described by a dataset spec, as examples in train, validation and test splits."""

    SPEC_CLASS = LogExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(LogExampleGenExecutor)

    def __init__(self, dataset: DatasetSpec, data_dir: str) -> None:
        """Describes the component.

        Args:
          dataset: The log's description.
          data_dir: Folder of the log's files, or its URI.
        """
        folder = DataPath.of(data_dir)
        examples = types.Channel(type=standard_artifacts.Examples)
        examples.additional_properties[example_gen_utils.SPAN_PROPERTY_NAME] = 0
        columns = types.Channel(type=standard_artifacts.Examples)
        super().__init__(
            LogExampleGenSpec(
                dataset=dataset.model_dump_json(),
                data_dir=data_dir,
                # A folder that only the workers see cannot be looked into from here.
                input_fingerprint=fingerprint(open_reader(dataset, folder).files()) if folder.exists() else "",
                code_fingerprint=source_fingerprint("data"),
                examples=examples,
                columns=columns,
            )
        )
