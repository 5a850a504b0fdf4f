"""ReportWriter: the evaluation, the blessing and its reasons as one HTML file, `report.html`."""

import json
from pathlib import Path

from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import ExampleAnomalies, Examples, InfraBlessing, ModelEvaluation, ModelRun

from models.trainer import TRAINING_RECORD
from pipeline.components.vocabulary_gen import Vocabularies
from pipeline.data_facts import DataFacts
from pipeline.metrics.results import load_comparison, load_metrics
from pipeline.metrics.validation import load_validation
from pipeline.provenance import provenance
from pipeline.report_page import report_page
from pipeline.settings import RunConfig

REPORT = "report.html"


@component
def ReportWriter(  # noqa: N802 (a component, named like TFX's own)
    evaluation: InputArtifact[ModelEvaluation],
    infra_blessing: InputArtifact[InfraBlessing],
    model_run: InputArtifact[ModelRun],
    examples: InputArtifact[Examples],
    vocabularies: InputArtifact[Vocabularies],
    anomalies: InputArtifact[ExampleAnomalies],
    domain_anomalies: InputArtifact[ExampleAnomalies],
    # Kubeflow takes TFX's own types of artifacts only.
    report: OutputArtifact[ModelEvaluation],
    config: Parameter[str],
) -> None:
    """Writes the report.

    Args:
      evaluation: What the Evaluator found.
      infra_blessing: Whether the model can be served.
      model_run: The training's record.
      examples: Beside them lies where every row of the log went.
      vocabularies: What was fit on the training rows, by field.
      anomalies: What ExampleValidator found.
      domain_anomalies: What DomainValidator found.
      report: Where `report.html` is written.
      config: The `RunConfig` as JSON.
    """
    run = RunConfig.model_validate_json(config)
    domain = run.dataset.roles.domain
    page = report_page(
        name=run.name,
        metrics=load_metrics(evaluation.uri, domain, run.dataset.domains),
        reasons=[*load_validation(evaluation.uri).reasons, *serving_faults(infra_blessing.uri)],
        comparison=load_comparison(evaluation.uri, domain),
        data=DataFacts.read(
            examples=examples.uri,
            vocabularies=vocabularies.uri,
            anomalies=anomalies.uri,
            domain_anomalies=domain_anomalies.uri,
        ),
        training=json.loads((Path(model_run.uri) / TRAINING_RECORD).read_text(encoding="utf-8")),
        facts=provenance(run),
        groups=run.groups_name,
    )
    Path(report.uri).mkdir(parents=True, exist_ok=True)
    page.write(Path(report.uri) / REPORT)


def serving_faults(blessing_uri: str) -> list[str]:
    """Why a model could not be served, in words; empty when it can be.

    Args:
      blessing_uri: Folder of the InfraBlessing.
    """
    path = Path(blessing_uri) / "INFRA_NOT_BLESSED"
    return [f"TensorFlow Serving could not serve it: {path.read_text(encoding='utf-8')}"] if path.exists() else []
