"""TFX's Evaluator component, with this project's metrics and with TFMA's own."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figure_table import Line
from benchmarks.scored_log import Measured, best, make_rows

RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"


def measure_evaluator(args: argparse.Namespace) -> Measured:
    """TFX's Evaluator with this project's metrics against the same component with TFMA's AUC, sliced by domain."""
    import pyarrow as pa
    import tensorflow as tf
    from tensorflow_metadata.proto.v0 import schema_pb2
    from tensorflow_model_analysis.proto import config_pb2
    from tfx.components.evaluator.executor import Executor
    from tfx.types import standard_artifacts
    from tfx.utils import io_utils, json_utils, proto_utils

    from data.example_encoding import encode_examples
    from pipeline.gate import EvaluationConfig
    from pipeline.metrics.eval_config import build_eval_config

    labels, scores, users, domains = make_rows(args.evaluator_rows, args.evaluator_rows // 50, args.domains)
    root = Path(tempfile.mkdtemp(prefix="evaluator-benchmark-"))
    split = root / "examples" / "Split-test"
    split.mkdir(parents=True)
    columns = {"label": labels.astype(np.int64), "score": scores, "user": users, "domain": domains}
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in columns.values()], names=list(columns))
    with tf.io.TFRecordWriter(str(split / "data-00000-of-00001.gz"), "GZIP") as writer:
        for part in encode_examples(batch):
            for example in part.to_pylist():
                writer.write(example)
    schema = schema_pb2.Schema()
    for name in ("label", "user", "domain"):
        feature = schema.feature.add(name=name, type=schema_pb2.INT)
        feature.shape.dim.add(size=1)
        feature.presence.min_fraction = 1.0
    io_utils.write_pbtxt_file(str(root / "schema" / "schema.pbtxt"), schema)

    class Parrot(tf.Module):
        """Answers with a feature, so that the time is the judge's and not a model's."""

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples: Any) -> Any:
            spec = {"score": tf.io.FixedLenFeature([1], tf.float32)}
            return {"probability": tf.io.parse_example(examples, spec)["score"]}

    parrot = Parrot()
    tf.saved_model.save(parrot, str(root / "model" / "Format-Serving"), signatures={"serving_default": parrot.serve})

    ours = build_eval_config(
        label_key="label", user_key="user", domain_key="domain", gate=EvaluationConfig(replicates=0)
    )
    stock = config_pb2.EvalConfig(
        model_specs=ours.model_specs,
        slicing_specs=ours.slicing_specs,
        metrics_specs=[config_pb2.MetricsSpec(metrics=[config_pb2.MetricConfig(class_name="AUC")])],
        options=ours.options,
    )

    def artifact(cls: type, name: str, **properties: Any) -> Any:
        result = cls()
        result.uri = str(root / name)
        for key, value in properties.items():
            setattr(result, key, value)
        return result

    def run(config: Any, name: str, module: str | None) -> None:
        context = Executor.Context(beam_pipeline_args=[RUNNER], tmp_dir=str(root / "tmp"), unique_id="1")
        properties = {"eval_config": proto_utils.proto_to_json(config), "example_splits": json_utils.dumps(["test"])}
        Executor(context).Do(
            {
                "examples": [artifact(standard_artifacts.Examples, "examples", split_names='["test"]')],
                "model": [artifact(standard_artifacts.Model, "model", id=1)],
                "schema": [artifact(standard_artifacts.Schema, "schema")],
            },
            {
                "evaluation": [artifact(standard_artifacts.ModelEvaluation, f"{name}/evaluation")],
                "blessing": [artifact(standard_artifacts.ModelBlessing, f"{name}/blessing")],
            },
            properties | ({"module_path": module} if module else {}),
        )

    mine = best(1, lambda: run(ours, "ours", "pipeline.metrics.slice_batches"))
    theirs = best(1, lambda: run(stock, "stock", None))
    rows = args.evaluator_rows
    what = f"Evaluator, {rows:,} rows, to TFMA's stock AUC by domain"
    return [Line(what, rows / mine, rows / theirs, theirs / mine, 5.0)], {"domains": args.domains}
