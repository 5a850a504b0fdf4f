"""What a run of the pipeline did, read back from ML Metadata."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ml_metadata as mlmd
from ml_metadata.proto import metadata_store_pb2

_OUTPUT_EVENTS = (metadata_store_pb2.Event.OUTPUT, metadata_store_pb2.Event.DECLARED_OUTPUT)


@dataclass(frozen=True)
class ComponentResult:
    """One component of the latest run.

    Attributes:
      name: The component's id.
      cached: Whether an earlier output was reused.
      seconds: Wall time, 0 when cached.
      uris: Where each output lies, by output key.
      properties: Custom properties of each output, by output key.
    """

    name: str
    cached: bool
    seconds: float
    uris: Mapping[str, str]
    properties: Mapping[str, Mapping[str, object]]


def read_results(metadata_path: Path) -> dict[str, ComponentResult]:
    """The components that the latest run finished, in the order in which they ran; a failed run has fewer.

    Args:
      metadata_path: SQLite file of ML Metadata.

    Raises:
      FileNotFoundError: If there is no such file, or no run in it.
    """
    if not metadata_path.is_file():
        raise FileNotFoundError(f"{metadata_path}: no ML Metadata here; has the pipeline run?")
    connection = metadata_store_pb2.ConnectionConfig()
    connection.sqlite.filename_uri = str(metadata_path)
    connection.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    store = mlmd.MetadataStore(connection)
    runs = store.get_contexts_by_type("pipeline_run")
    if not runs:
        raise FileNotFoundError(f"{metadata_path}: no pipeline run in it")
    latest = max(runs, key=lambda context: (context.create_time_since_epoch, context.id))
    executions = sorted(store.get_executions_by_context(latest.id), key=lambda execution: execution.id)
    finished = (metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED)
    results = [_component(store, execution) for execution in executions if execution.last_known_state in finished]
    return {result.name: result for result in results}


def _component(store: mlmd.MetadataStore, execution: metadata_store_pb2.Execution) -> ComponentResult:
    nodes = [context for context in store.get_contexts_by_execution(execution.id) if context.type == "node"]
    # A node's context is named `<pipeline>.<node>`.
    name = nodes[0].name.split(".", 1)[1] if nodes else execution.type
    events = [event for event in store.get_events_by_execution_ids([execution.id]) if event.type in _OUTPUT_EVENTS]
    artifacts = {artifact.id: artifact for artifact in store.get_artifacts_by_id([e.artifact_id for e in events])}
    outputs = {
        event.path.steps[0].key: artifacts[event.artifact_id]
        for event in events
        if event.path.steps and event.artifact_id in artifacts
    }
    cached = execution.last_known_state == metadata_store_pb2.Execution.CACHED
    milliseconds = execution.last_update_time_since_epoch - execution.create_time_since_epoch
    return ComponentResult(
        name=name,
        cached=cached,
        seconds=0.0 if cached else milliseconds / 1000,
        uris={key: artifact.uri for key, artifact in outputs.items()},
        properties={
            key: {name: _value(value) for name, value in artifact.custom_properties.items()}
            for key, artifact in outputs.items()
        },
    )


def _value(value: metadata_store_pb2.Value) -> object:
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)
