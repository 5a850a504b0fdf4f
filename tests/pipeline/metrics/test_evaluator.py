"""TFX's own Evaluator executor over TFRecords and SavedModels, with the config that the pipeline gives it."""

import os

import numpy as np
import pytest
import tensorflow as tf
from tfx.components.evaluator.executor import Executor
from tfx.types import standard_artifacts
from tfx.utils import json_utils, proto_utils

from models.metrics.domain_summary import per_domain
from pipeline.metrics.results import load_metrics
from pipeline.metrics.validation import load_validation
from tests.pipeline.metrics.conftest import eval_config

FN_API_RUNNER = "--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"
CONFIG = eval_config(min_auc=0.6, min_gauc=0.6, max_domain_drop=0.02, replicates=16)


def tf_example(**features):
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def integer(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def real(value):
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def raw(value):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))


class Parrot(tf.Module):
    """A model whose probability is a feature of the example, so that what it must be given is known."""

    def __init__(self, feature):
        super().__init__()
        self._feature = feature

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples):
        spec = {self._feature: tf.io.FixedLenFeature([1], tf.float32)}
        return {"probability": tf.io.parse_example(examples, spec)[self._feature]}


def artifact(cls, uri, **properties):
    result = cls()
    result.uri = str(uri)
    for name, value in properties.items():
        setattr(result, name, value)
    return result


@pytest.fixture(scope="module")
def inputs(log, tmp_path_factory):
    """Examples in two files, and two models: `baseline`, and `candidate`, which is worse in domain 2 alone."""
    root = tmp_path_factory.mktemp("inputs")
    candidate = log.changed(better_in=[0, 1], worse_in=[2])
    split = root / "examples" / "Split-test"
    split.mkdir(parents=True)
    for shard in (0, 1):
        with tf.io.TFRecordWriter(str(split / f"data-0000{shard}-of-00002.gz"), "GZIP") as writer:
            for i in range(shard, len(log), 2):
                writer.write(
                    tf_example(
                        user=raw(log.users[i]),
                        tab=integer(log.domains[i]),
                        label=integer(log.labels[i]),
                        candidate=real(candidate[i]),
                        baseline=real(log.scores[i]),
                    )
                )
    for name in ("candidate", "baseline"):
        model = Parrot(name)
        tf.saved_model.save(model, str(root / name / "Format-Serving"), signatures={"serving_default": model.serve})
    return root, candidate


def run_evaluator(root, output, model, baseline=None):
    """Returns the blessing's property and the folder of the evaluation."""
    input_dict = {
        "examples": [artifact(standard_artifacts.Examples, root / "examples", split_names='["test"]')],
        "model": [artifact(standard_artifacts.Model, root / model, id=1)],
    }
    if baseline:
        input_dict["baseline_model"] = [artifact(standard_artifacts.Model, root / baseline, id=2)]
    blessing = artifact(standard_artifacts.ModelBlessing, output / "blessing")
    outputs = {
        "evaluation": [artifact(standard_artifacts.ModelEvaluation, output / "evaluation")],
        "blessing": [blessing],
    }
    context = Executor.Context(beam_pipeline_args=[FN_API_RUNNER], tmp_dir=str(output / "tmp"), unique_id="1")
    properties = {
        "eval_config": proto_utils.proto_to_json(CONFIG),
        "example_splits": json_utils.dumps(["test"]),
        "module_path": "pipeline.metrics.slice_batches",
    }
    Executor(context).Do(input_dict, outputs, properties)
    assert os.listdir(blessing.uri) == ["BLESSED" if blessing.get_int_custom_property("blessed") else "NOT_BLESSED"]
    return blessing.get_int_custom_property("blessed"), str(output / "evaluation")


def assert_metrics(found, expected):
    for domain, record in {"overall": expected["overall"], **expected["domains"]}.items():
        others = found["overall"] if domain == "overall" else found["domains"][domain]
        for field, value in record.items():
            assert others[field] == (value if value is None else pytest.approx(value, abs=1e-9)), (domain, field)


@pytest.mark.slow
def test_the_first_model_is_blessed_and_a_later_one_refused_for_one_domain(log, inputs, tmp_path):
    root, candidate = inputs
    blessed, uri = run_evaluator(root, tmp_path / "first", model="baseline")
    before = per_domain(log.labels, log.scores, log.users, log.domains)
    assert blessed and load_validation(uri).blessed
    assert_metrics(load_metrics(uri, "tab"), before)

    blessed, uri = run_evaluator(root, tmp_path / "second", model="candidate", baseline="baseline")
    after = per_domain(log.labels, candidate, log.users, log.domains)
    assert not blessed
    assert_metrics(load_metrics(uri, "tab"), after)
    assert_metrics(load_metrics(uri, "tab", model="baseline"), before)
    # Domain 6, without a click, is no reason; domain 2 is, though the model is better overall.
    assert after["overall"]["gauc"] > before["overall"]["gauc"]
    validation = load_validation(uri)
    assert {(failure.domain, failure.metric) for failure in validation.failures} == {("2", "auc"), ("2", "gauc")}
    assert all(reason.startswith("domain 2: ") for reason in validation.reasons)

    blessed, uri = run_evaluator(root, tmp_path / "third", model="baseline", baseline="baseline")
    assert blessed and load_validation(uri).reasons == []
    assert np.isfinite(load_metrics(uri, "tab")["overall"]["log_loss"])
