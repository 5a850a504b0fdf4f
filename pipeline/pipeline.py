"""The pipeline: from a raw log to a pushed model."""

from __future__ import annotations

import os

# Each from its own place, and not from tfx.v1, which imports Vertex AI's client too: a third of a run's start.
from tfx.components import Evaluator, ExampleValidator, Pusher, Trainer
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.common.resolver import Resolver
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.orchestration.metadata import sqlite_metadata_connection_config
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import pusher_pb2, trainer_pb2
from tfx.types import Channel, standard_artifacts

from models.warm_start.find_model import find_model
from pipeline.components.atomic_pusher import AtomicPusherExecutor
from pipeline.components.domain_statistics import DomainStatisticsGen
from pipeline.components.domain_validator import DomainValidator
from pipeline.components.latest_or_none import LatestOrNoneStrategy
from pipeline.components.log_example_gen import LogExampleGen
from pipeline.components.report_writer import ReportWriter
from pipeline.components.schema_from_spec import SchemaFromSpec
from pipeline.components.serving_check import ServingCheck
from pipeline.components.transform import Transform
from pipeline.components.vocabulary_gen import VocabularyGen
from pipeline.metrics.eval_config import build_eval_config
from pipeline.settings import PipelineConfig, RunConfig
from pipeline.source_fingerprint import source_fingerprint


def beam_pipeline_args(config: PipelineConfig) -> list[str]:
    """Beam's options, and how many processes of this machine a component may use."""
    workers = [] if config.workers is None else [f"--local_workers={config.workers}"]
    return [*config.beam_args, *workers]


def create_pipeline(
    config: RunConfig,
    *,
    data_dir: str,
    pipeline_root: str,
    serving_model_dir: str,
    checkpoint_dir: str,
    metadata_path: str | None = None,
    with_baseline: bool = True,
) -> Pipeline:
    """Describes the pipeline; a runner runs it.

    Args:
      config: The run's config.
      data_dir: Folder of the log's files.
      pipeline_root: Where artifacts lie.
      serving_model_dir: Base path of the pushed versions, as TensorFlow Serving expects it.
      checkpoint_dir: Where the trainer keeps checkpoints, so that a killed training resumes.
      metadata_path: SQLite file of ML Metadata; None leaves metadata to the orchestrator.
      with_baseline: Whether the Evaluator compares with the last blessed model. Some orchestrators cannot look it up.

    Returns:
      The pipeline, from LogExampleGen to Pusher.

    Raises:
      ValueError: `training.warm_start` is `last_blessed`, and `with_baseline` false; or `training.distribution` is
        `multi_worker` where the pipeline is one process.
    """
    if config.training.warm_start == "last_blessed" and not with_baseline:
        raise ValueError(
            "training.warm_start: `last_blessed` needs the node that looks up the last blessed model, which this "
            "pipeline is compiled without; give the model's path"
        )
    if config.training.distribution == "multi_worker" and metadata_path is not None:
        raise ValueError(
            "training.distribution: a pipeline on this machine is one process; `multi_worker` is for "
            "`crocodile train`, which trains on a run's examples (docs/distribution.md)"
        )
    spec = config.dataset
    dataset_json = spec.model_dump_json()
    example_gen = LogExampleGen(dataset=spec, data_dir=data_dir)
    schema_gen = SchemaFromSpec(dataset=dataset_json, group_key=config.group_key)
    statistics_gen = DomainStatisticsGen(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        dataset=spec,
        rows=config.statistics.rows,
        domain_rows=config.statistics.domain_rows,
    ).with_id("StatisticsGen")
    # Kubeflow looks artifacts up by type alone, and would find other statistics than the accepted ones.
    with_reference = with_baseline and metadata_path is not None
    accepted_statistics = Resolver(
        strategy_class=LatestOrNoneStrategy,
        reference=Channel(
            type=standard_artifacts.ExampleStatistics,
            producer_component_id="DomainValidator",
            output_key="accepted",
        ),
    ).with_id("AcceptedStatistics")
    domain_validator = DomainValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
        dataset=spec,
        config=config.statistics,
        reference=accepted_statistics.outputs["reference"] if with_reference else None,
    )
    example_validator = ExampleValidator(
        statistics=statistics_gen.outputs["statistics"], schema=schema_gen.outputs["schema"]
    )
    vocabulary_gen = VocabularyGen(columns=example_gen.outputs["columns"], dataset=spec)
    transform = Transform(
        columns=example_gen.outputs["columns"],
        schema=schema_gen.outputs["schema"],
        vocabularies=vocabulary_gen.outputs["vocabularies"],
        dataset=spec,
    )
    # Where it is to stop the run, nothing is learned before it has had its say.
    transform.add_upstream_node(domain_validator)
    latest_blessed_model = Resolver(
        strategy_class=LatestBlessedModelStrategy,
        model=Channel(type=standard_artifacts.Model),
        model_blessing=Channel(type=standard_artifacts.ModelBlessing),
    ).with_id("LatestBlessedModel")
    training = config.training
    if training.warm_start_path is not None and metadata_path is not None:
        # The very version, so that a newer one in the same base path is another training and no cached one. On
        # Kubeflow only the container can look.
        training = training.model_copy(update={"warm_start": find_model(training.warm_start_path)})
    trainer = Trainer(
        run_fn="models.trainer.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema_gen.outputs["schema"],
        base_model=latest_blessed_model.outputs["model"] if config.training.warm_start == "last_blessed" else None,
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["validation"]),
        custom_config={
            "dataset": dataset_json,
            "model": config.model.model_dump_json(),
            "training": training.model_dump_json(),
            "checkpoint_dir": checkpoint_dir,
            "code_fingerprint": source_fingerprint("data", "models"),
        },
    )
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        example_splits=["test"],
        model=trainer.outputs["model"],
        baseline_model=latest_blessed_model.outputs["model"] if with_baseline else None,
        schema=schema_gen.outputs["evaluation_schema"],
        module_path="pipeline.metrics.slice_batches",
        eval_config=build_eval_config(
            label_key=spec.roles.label,
            user_key=config.group_key,
            domain_key=spec.roles.domain,
            gate=config.evaluation,
        ),
    )
    serving_check = ServingCheck(model=trainer.outputs["model"], examples=example_gen.outputs["examples"])
    report_writer = ReportWriter(
        evaluation=evaluator.outputs["evaluation"],
        infra_blessing=serving_check.outputs["blessing"],
        model_run=trainer.outputs["model_run"],
        examples=example_gen.outputs["examples"],
        vocabularies=vocabulary_gen.outputs["vocabularies"],
        anomalies=example_validator.outputs["anomalies"],
        domain_anomalies=domain_validator.outputs["anomalies"],
        config=config.model_dump_json(),
    )
    pusher = Pusher(
        model_blessing=evaluator.outputs["blessing"],
        # It holds the model with its warm-up requests, and that is what is pushed.
        infra_blessing=serving_check.outputs["blessing"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(base_directory=serving_model_dir)
        ),
        custom_executor_spec=executor_spec.ExecutorClassSpec(AtomicPusherExecutor),
    )
    metadata_config = None
    if metadata_path is not None:
        os.makedirs(os.path.dirname(metadata_path), exist_ok=True)
        metadata_config = sqlite_metadata_connection_config(metadata_path)
    return Pipeline(
        pipeline_name=config.name,
        pipeline_root=pipeline_root,
        components=[
            example_gen,
            schema_gen,
            statistics_gen,
            example_validator,
            *([accepted_statistics] if with_reference else []),
            domain_validator,
            vocabulary_gen,
            transform,
            *([latest_blessed_model] if with_baseline else []),
            trainer,
            evaluator,
            serving_check,
            report_writer,
            pusher,
        ],
        enable_cache=config.pipeline.enable_cache,
        metadata_connection_config=metadata_config,
        beam_pipeline_args=beam_pipeline_args(config.pipeline),
    )
