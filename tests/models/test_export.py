"""The exported SavedModel of a real run: its signatures, and how it answers odd rows."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from serving.servable import Servable
from serving.versions import latest_version
from tests.conftest import DemoRun

DOMAINS = [b"0", b"1", b"2", b"4", b"6"]


@pytest.fixture(scope="module")
def version(demo_run: DemoRun) -> Path:
    return latest_version(demo_run.output / "serving_model" / "crocodile")[1]


@pytest.fixture(scope="module")
def servable(version: Path):
    with Servable(version) as loaded:
        yield loaded


def example(**features: bytes | int | float) -> bytes:
    result = tf.train.Example()
    for name, value in features.items():
        feature = result.features.feature[name]
        if isinstance(value, bytes):
            feature.bytes_list.value.append(value)
        elif isinstance(value, int):
            feature.int64_list.value.append(value)
        else:
            feature.float_list.value.append(value)
    return result.SerializeToString()


def score(servable: Servable, *examples: bytes) -> np.ndarray:
    return servable.predict("serving_default", {"examples": np.array(examples, object)})["probability"]


def test_signatures_take_raw_features_and_not_the_label(servable: Servable) -> None:
    default, raw = servable.signatures["serving_default"], servable.signatures["serving_raw"]
    assert {name: info.dtype for name, info in default.inputs.items()} == {"examples": tf.string.as_datatype_enum}
    assert {"user_id", "video_id", "tab"} <= set(raw.inputs)
    assert not {"is_click", "time_ms", "long_view", "play_time_ms"} & set(raw.inputs)
    for signature in (default, raw):
        (output,) = signature.outputs.values()
        assert output.dtype == tf.float32.as_datatype_enum
        assert [dim.size for dim in output.tensor_shape.dim] == [-1]


def test_only_user_item_and_domain_are_required(servable: Servable) -> None:
    assert 0 < score(servable, example(user_id=1, video_id=2, tab=b"1"))[0] < 1


def test_a_missing_required_feature_is_an_error_that_names_it(servable: Servable) -> None:
    with pytest.raises(Exception, match="tab"):
        score(servable, example(user_id=1, video_id=2))


def test_unknown_values_are_all_the_same_value(servable: Servable) -> None:
    """Values that no vocabulary holds fall to the field's default id, whatever they are."""
    first = example(user_id=10**15, video_id=-5, tab=b"1", video_type=b"never seen", tag=b"x")
    second = example(user_id=10**15 + 1, video_id=-6, tab=b"1", video_type=b"nor this", tag=b"y")
    a, b = score(servable, first, second)
    assert a == b


def test_domains_differ_for_the_same_row(servable: Servable) -> None:
    scores = score(servable, *(example(user_id=1, video_id=2, tab=domain) for domain in DOMAINS))
    assert len(set(scores.tolist())) == len(DOMAINS)


def test_an_unknown_domain_is_answered_with_a_mean_over_the_domains_and_with_no_one_domains_answer(
    servable: Servable,
) -> None:
    unknown, other = score(
        servable, example(user_id=1, video_id=2, tab=b"99"), example(user_id=1, video_id=2, tab=b"x")
    )
    known = score(servable, *(example(user_id=1, video_id=2, tab=domain) for domain in DOMAINS))
    assert unknown == other
    assert known.min() < unknown < known.max()
    assert np.abs(known - unknown).min() > 1e-6


def test_one_row_in_one_row_out_and_no_row_no_row(servable: Servable) -> None:
    assert score(servable, example(user_id=1, video_id=2, tab=b"6")).shape == (1,)
    assert score(servable).shape == (0,)


def test_scores_do_not_depend_on_the_other_rows_or_their_order(servable: Servable) -> None:
    rows = [example(user_id=u, video_id=u % 7, tab=DOMAINS[u % 5]) for u in range(50)]
    together = score(servable, *rows)
    np.testing.assert_allclose(score(servable, *rows[::-1])[::-1], together, atol=1e-6)
    np.testing.assert_allclose([score(servable, row)[0] for row in rows], together, atol=1e-6)


def test_the_saved_graph_holds_no_trace_of_training(version: Path) -> None:
    graph = (version / "saved_model.pb").read_bytes().lower()
    for word in (b"cov_loss", b"covloss", b"adagrad", b"optimizer", b"crossentropy"):
        assert word not in graph, word
