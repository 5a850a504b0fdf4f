"""Every file of serving/deploy is what its reader takes: checked by that reader's own schema, where that can be had.

It cannot for KServe, whose package needs another protobuf than TFX, and for Grafana, whose package needs a later
Python: here are their rules as far as our files go, and the dashboard's queries are read by a parser of PromQL.
"""

import json
import re
from pathlib import Path

import check_jsonschema
import jsonschema
import kubernetes_validate
import promql_parser
import pytest
import yaml
from google.protobuf import text_format

from serving.config_protos import BatchingParametersProto, ModelServerConfig, MonitoringConfig
from serving.flags import FLAGS
from serving.metrics import METRICS
from tests.conftest import ROOT

DEPLOY = ROOT / "serving" / "deploy"
COMPOSE_SCHEMA = Path(check_jsonschema.__file__).parent / "builtin_schemas" / "vendor" / "compose-spec.json"
MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
# KServe's InferenceService (serving.kserve.io/v1beta1): the fields of its definition that a predictor of one model
# uses; its pod fields are Kubernetes' own.
INFERENCE_SERVICE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "serving.kserve.io/v1beta1"},
        "kind": {"const": "InferenceService"},
        "metadata": {"type": "object", "required": ["name"]},
        "spec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["predictor"],
            "properties": {
                "predictor": {
                    "type": "object",
                    "additionalProperties": False,
                    "properties": {
                        "minReplicas": {"type": "integer", "minimum": 0},
                        "maxReplicas": {"type": "integer", "minimum": 0},
                        "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"]},
                        "scaleTarget": {"type": "integer"},
                        "canaryTrafficPercent": {"type": "integer", "minimum": 0, "maximum": 100},
                        "timeout": {"type": "integer"},
                        "model": {
                            "type": "object",
                            "additionalProperties": False,
                            "required": ["modelFormat"],
                            "properties": {
                                "modelFormat": {
                                    "type": "object",
                                    "additionalProperties": False,
                                    "required": ["name"],
                                    "properties": {"name": {"type": "string"}, "version": {"type": "string"}},
                                },
                                "runtimeVersion": {"type": "string"},
                                "storageUri": {"type": "string", "pattern": "^(pvc|gs|s3|https?)://"},
                                "args": {"type": "array", "items": {"type": "string"}},
                                "resources": {"type": "object"},
                            },
                        },
                    },
                }
            },
        },
    },
}


def load(name: str):
    return yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("models.config", ModelServerConfig),
        ("batching.config", BatchingParametersProto),
        ("monitoring.config", MonitoringConfig),
    ],
)
def test_tensorflow_servings_files(name: str, message) -> None:
    parsed = text_format.Parse((DEPLOY / name).read_text(encoding="utf-8"), message())
    assert parsed.ByteSize() > 0


def test_compose() -> None:
    schema = json.loads(COMPOSE_SCHEMA.read_text(encoding="utf-8"))
    compose = load("compose.yaml")
    jsonschema.validate(compose, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(compose | {"servces": {}}, schema)
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.rsplit(":", 2)[0]
            assert source.startswith("${") or (DEPLOY / source).is_file(), source


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.stem)
@pytest.mark.parametrize("version", ["1.29", "1.33"])
def test_kubernetes(path: Path, version: str) -> None:
    for manifest in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        kubernetes_validate.validate(manifest, version, strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(manifest | {"spek": {}}, version, strict=True)


def test_kubernetes_files_belong_together() -> None:
    found = {path.stem: load(f"kubernetes/{path.name}") for path in MANIFESTS}
    assert set(found) == {"autoscaler", "deployment", "disruption_budget", "models", "service"}
    pods = found["deployment"]["spec"]["template"]
    labels = pods["metadata"]["labels"]
    assert found["service"]["spec"]["selector"] == labels
    assert found["disruption_budget"]["spec"]["selector"]["matchLabels"] == labels
    target = found["autoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", found["deployment"]["metadata"]["name"])
    (container,) = pods["spec"]["containers"]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    ports = {port["name"] for port in container["ports"]}
    assert {port["targetPort"] for port in found["service"]["spec"]["ports"]} == ports
    claim = pods["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == found["models"]["metadata"]["name"]


def test_every_flag_is_one_of_the_servers() -> None:
    (container,) = load("kubernetes/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    kserve = load("kserve/inference_service.yaml")["spec"]["predictor"]["model"]
    given = [*container["args"], *load("compose.yaml")["services"]["model-server"]["command"], *kserve["args"]]
    known = {flag.name for flag in FLAGS if not flag.ours}
    assert {word.removeprefix("--").partition("=")[0] for word in given} <= known


def test_kserve() -> None:
    service = load("kserve/inference_service.yaml")
    jsonschema.validate(service, INFERENCE_SERVICE)
    resources = service["spec"]["predictor"]["model"]["resources"]
    pod = {"containers": [{"name": "c", "image": "i", "resources": resources}]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": pod}
    kubernetes_validate.validate(manifest, "1.33", strict=True)


def test_the_dashboard_asks_for_metrics_that_the_server_has() -> None:
    dashboard = json.loads((DEPLOY / "grafana/dashboard.json").read_text(encoding="utf-8"))
    assert {"title", "uid", "schemaVersion", "panels", "templating", "time"} <= set(dashboard)
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    sources = {variable["name"] for variable in dashboard["templating"]["list"] if variable["type"] == "datasource"}
    variables = {variable["name"] for variable in dashboard["templating"]["list"]}
    # What a page names before anything was counted.
    page = METRICS.page().decode()
    kinds = dict(re.findall(r"^# TYPE (\S+) (\w+)$", page, flags=re.MULTILINE))
    asked = set()
    cells = []
    for panel in dashboard["panels"]:
        assert panel["type"] == "timeseries" and panel["targets"], panel["title"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"} and "datasource" in sources
        where = panel["gridPos"]
        assert 0 <= where["x"] and where["x"] + where["w"] <= 24
        cells.append((where["x"], where["y"]))
        for target in panel["targets"]:
            assert set(re.findall(r"\$(\w+)", target["expr"])) - {"__rate_interval"} <= variables
            promql_parser.parse(re.sub(r"\$\{?\w+\}?", "5m", target["expr"]))
            for name in re.findall(r":tensorflow:[\w:]+", target["expr"]):
                base = re.sub(r"_(bucket|sum|count)$", "", name)
                kind = kinds.get(name) or kinds.get(base)
                assert kind is not None, f"the server has no metric {name}"
                assert (base != name and base in kinds) == (kind == "histogram"), name
                asked.add(name)
    assert len(set(cells)) == len(cells), "two panels lie in one place"
    assert len(asked) >= 8


@pytest.mark.parametrize("name", ["prometheus.yaml", "grafana/provisioning.yaml", "grafana/datasource.yaml"])
def test_other_files_are_yaml(name: str) -> None:
    assert isinstance(load(name), dict)
