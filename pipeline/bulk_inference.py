"""Bulk inference on Beam, for logs that outgrow one machine: many files in, TFX's inference results out.

The output is that of TFX's BulkInferrer: TFRecords of PredictionLog, so what reads those reads these. Where the rows
are already an Examples artifact, the stock ``tfx.components.BulkInferrer`` does the same inside a pipeline.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from tensorflow_serving.apis import prediction_log_pb2
from tfx_bsl.public.beam import RunInference
from tfx_bsl.public.proto import model_spec_pb2

from serving.columns import ColumnError, Columns, feature_types
from serving.model_requests import RAW_SIGNATURE
from serving.scoring_input import format_of, open_source
from serving.servable import Servable
from serving.versions import is_complete, latest_version

PREDICTION_LOGS = "prediction_logs"  # as BulkInferrer calls them
FAILED_ROWS = "failed_rows"
_LOCAL_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


class BulkInferenceError(Exception):
    """Files that could not be scored; the message says why."""


class ReadExamples(beam.DoFn):
    """Turns a file of rows into serialized tf.Examples, as `crocodile score` sends them.

    Args:
      types: The model's raw features and their types; empty where the rows are tf.Examples.
      input_format: One of `csv`, `parquet`, `tfrecord`; None to go by each file's name.
    """

    def __init__(self, types: Columns, input_format: str | None) -> None:
        self._types = types
        self._format = input_format

    def process(self, path: str) -> Iterator[Any]:
        """Yields the file's examples, and the rows that make none as JSON under the tag `failed_rows`."""
        file = Path(path)
        for chunk in open_source(file, self._format or format_of(file), self._types, ()).chunks():
            for wrong in chunk.failed:
                record = {"file": path, "row": wrong.row, "reason": wrong.reason, "content": wrong.content}
                yield beam.pvalue.TaggedOutput(FAILED_ROWS, json.dumps(record, ensure_ascii=False))
            yield from chunk.examples


def infer(
    pattern: str,
    model: Path,
    output: Path,
    *,
    beam_args: Sequence[str] = (),
    input_format: str | None = None,
    signature_name: str = "serving_default",
    raw_signature: str = RAW_SIGNATURE,
) -> list[str]:
    """Scores files of rows with a Beam pipeline.

    Args:
      pattern: The files, such as `log/*.parquet`; each is read by one worker.
      model: A version's folder, or a base path whose latest version is taken. Workers must be able to read it.
      output: Folder for `prediction_logs-?????-of-?????.gz`, and `failed_rows-?????-of-?????.jsonl` with the rows that
        make no tf.Example; new or empty.
      beam_args: Beam pipeline options; none for the portable runner in this process.
      input_format: One of `csv`, `parquet`, `tfrecord`; None to go by each file's name.
      signature_name: The signature that takes serialized tf.Examples.
      raw_signature: The signature whose inputs are the raw features.

    Returns:
      The files that were scored.

    Raises:
      BulkInferenceError: There is nothing to score, the output is not empty, or the pipeline failed.
      ValueError: The model has no such signature.
    """
    files = sorted(glob.glob(pattern))
    if not files:
        raise BulkInferenceError(f"no file matches {pattern}")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise BulkInferenceError(f"the output {output} is not an empty folder")
    directory = model if is_complete(model) else latest_version(model)[1]
    types = _types(directory, signature_name, raw_signature)
    for file in files:
        # Before any worker starts: every file has the columns that the model needs.
        open_source(Path(file), input_format or format_of(Path(file)), types, ())
    spec = model_spec_pb2.InferenceSpecType(
        saved_model_spec=model_spec_pb2.SavedModelSpec(
            model_path=str(directory.resolve()), signature_name=[signature_name]
        )
    )
    try:
        with beam.Pipeline(options=PipelineOptions(list(beam_args) or [_LOCAL_RUNNER])) as pipeline:
            rows = (
                pipeline
                | "Files" >> beam.Create([os.path.abspath(file) for file in files])
                | "OneWorkerEach" >> beam.Reshuffle()
                | "ReadExamples"
                >> beam.ParDo(ReadExamples(types, input_format)).with_outputs(FAILED_ROWS, main="examples")
            )
            _ = rows[FAILED_ROWS] | "WriteFailedRows" >> beam.io.WriteToText(
                os.path.join(os.path.abspath(output), FAILED_ROWS), file_name_suffix=".jsonl", skip_if_empty=True
            )
            _ = (
                rows["examples"]
                | "Distribute" >> beam.Reshuffle()
                | "RunInference" >> RunInference(spec)
                | "WritePredictionLogs"
                >> beam.io.WriteToTFRecord(
                    os.path.join(os.path.abspath(output), PREDICTION_LOGS),
                    file_name_suffix=".gz",
                    coder=beam.coders.ProtoCoder(prediction_log_pb2.PredictionLog),
                )
            )
    except Exception as error:
        raise BulkInferenceError(f"the Beam pipeline failed: {error}") from error
    return files


def _types(directory: Path, signature_name: str, raw_signature: str) -> Columns:
    with Servable(directory) as servable:
        if signature_name not in servable.signatures:
            names = ", ".join(sorted(name for name in servable.signatures if not name.startswith("__")))
            raise ValueError(f"the model in {directory} has no signature {signature_name!r}; it has: {names}")
        if raw_signature not in servable.signatures:
            return {}
        try:
            return feature_types(servable.signatures[raw_signature])
        except ColumnError as error:
            raise ValueError(f"signature {raw_signature}: {error}") from error
