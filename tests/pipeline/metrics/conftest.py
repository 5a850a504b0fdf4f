"""A log with known metrics, and TFMA's real extractors, evaluator and writers to run over it."""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import apache_beam as beam  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tensorflow_model_analysis as tfma  # noqa: E402
from apache_beam.runners.portability.fn_api_runner import FnApiRunner  # noqa: E402
from tensorflow_model_analysis import constants  # noqa: E402
from tensorflow_model_analysis.utils import config_util  # noqa: E402

from pipeline.gate import EvaluationConfig  # noqa: E402
from pipeline.metrics.eval_config import build_eval_config  # noqa: E402

DOMAINS = (0, 1, 2, 4, 6)
NOTHING_ASKED = {
    "min_gauc": None, "max_domain_drop": None, "min_domain_rows": 0, "min_domain_users": 0, "replicates": 0
}  # fmt: skip


def eval_config(domain_key="tab", prediction_key="", signature_name="serving_default", **gate):
    """The Evaluator's config for `Log`, with a gate that asks for nothing but what is given."""
    return build_eval_config(
        label_key="label",
        user_key="user",
        domain_key=domain_key,
        gate=EvaluationConfig(**NOTHING_ASKED | gate),
        prediction_key=prediction_key,
        signature_name=signature_name,
    )


class Log:
    """Rows with a candidate's and a baseline's scores.

    Domains 0 and 1 are large, 2 is small, 4 has a constant score, 6 has no click. Users have rows in all
    domains, so that an evaluation that gave a domain its users' rows of other domains would be found out.
    """

    def __init__(self, rows=1_000, seed=4):
        rng = np.random.default_rng(seed)
        self.users = np.array([b"user %d" % user for user in rng.integers(0, 60, rows)], dtype=object)
        self.domains = rng.choice(DOMAINS, rows, p=[0.5, 0.25, 0.1, 0.1, 0.05])
        self.labels = (rng.random(rows) < 0.3).astype(np.int64)
        self.labels[self.domains == 6] = 0
        # The better the domain, the more of the label shines through; rounding makes ties.
        signal = np.select([self.domains == 0, self.domains == 1, self.domains == 2], [0.3, 0.1, 0.2], 0.0)
        self.scores = np.round(0.5 * rng.random(rows) + signal * self.labels, 2).astype(np.float32)
        self.scores[self.domains == 4] = 0.25

    def __len__(self):
        return len(self.labels)

    def changed(self, better_in=(), worse_in=()):
        """Scores with clicks raised in some domains and lowered in others; all other scores stay."""
        up = np.isin(self.domains, better_in) & (self.labels == 1)
        down = np.isin(self.domains, worse_in) & (self.labels == 1)
        return (self.scores + 0.2 * up - 0.2 * (down & (self.scores > 0.2))).astype(np.float32)

    def extracts(self, predictions):
        """What TFMA's extractors leave of the first rows; predictions are given one a row."""
        return [
            {
                tfma.LABELS_KEY: np.array([self.labels[i]]),
                tfma.PREDICTIONS_KEY: predictions[i],
                tfma.EXAMPLE_WEIGHTS_KEY: None,
                tfma.FEATURES_KEY: {
                    "tab": np.array([self.domains[i]]),
                    "user": np.array([self.users[i]], dtype=object),
                    "label": np.array([self.labels[i]]),
                },
            }
            for i in range(len(predictions))
        ]


@pytest.fixture(scope="session")
def log():
    return Log()


@pytest.fixture(scope="session")
def evaluate(tmp_path_factory):
    """Runs TFMA's slicing, evaluator and writers over extracts, as TFX's Evaluator would, without a model.

    Of the files it writes those that are read here: a writer's stages take longer to start than to run.
    """

    def run(extracts, eval_config, has_baseline=False):
        config = config_util.update_eval_config_with_defaults(eval_config, has_baseline=has_baseline, rubber_stamp=True)
        uri = str(tmp_path_factory.mktemp("evaluation"))
        paths = {key: f"{uri}/{key}" for key in (constants.METRICS_KEY, constants.VALIDATIONS_KEY)}
        writer = tfma.writers.MetricsPlotsAndValidationsWriter(
            output_paths=paths, eval_config=config, output_file_format="tfrecord"
        )
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            sliced = (
                pipeline
                | beam.Create(extracts)
                | beam.Reshuffle()
                | tfma.extractors.SliceKeyExtractor(eval_config=config).ptransform
            )
            evaluation = sliced | tfma.evaluators.MetricsPlotsAndValidationsEvaluator(eval_config=config).ptransform
            _ = evaluation | tfma.WriteResults(writers=[writer])
        return uri

    return run


@pytest.fixture(scope="session")
def first_model(log, evaluate):
    """The evaluation of a model that nothing is compared with."""
    scores = [np.array([score]) for score in log.scores]
    return evaluate(log.extracts(scores), eval_config(min_auc=0.6, min_gauc=0.6, max_domain_drop=0.0))
