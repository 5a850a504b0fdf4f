import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from serving.errors import InvalidArgumentError, ServableLoadError, UnavailableError
from serving.servable import Servable
from serving.tensors import to_proto
from tests.serving.conftest import Rows


def test_scores_are_the_sessions_in_both_signatures(exports: dict[int, Path], rows: Rows) -> None:
    with Servable(exports[1]) as servable:
        raw = servable.predict("serving_raw", rows.raw)
        examples = servable.predict("", {"examples": np.array(rows.examples, np.object_)})
    np.testing.assert_allclose(raw["probability"], rows.scores[1], atol=1e-6)
    np.testing.assert_allclose(examples["probability"], rows.scores[1], atol=1e-6)


def test_nothing_is_cast(exports: dict[int, Path]) -> None:
    with Servable(exports[1]) as servable:
        with pytest.raises(InvalidArgumentError) as caught:
            servable.predict("matmul", {"x": np.ones((2, 3), np.float64)})
        assert caught.value.message == "Expects arg[0] to be float but double is provided"


def test_takes_protos_and_arrays_and_filters(exports: dict[int, Path]) -> None:
    x = np.ones((2, 3), np.float32)
    with Servable(exports[1]) as servable:
        assert set(servable.predict("matmul", {"x": x})) == {"y", "z", "shape"}
        outputs = servable.predict("matmul", {"x": to_proto(x)}, ["z"])
        named = servable.predict("add", {"a": x[0], "b": x[0]}, ["name"])
    np.testing.assert_array_equal(outputs["z"], [3, 3])
    assert set(outputs) == {"z"}
    assert named["name"].shape == () and named["name"].item() == b"added"


def test_two_servables_do_not_share_a_graph_or_weights(exports: dict[int, Path], rows: Rows) -> None:
    with Servable(exports[1]) as first, Servable(exports[2]) as second:
        np.testing.assert_allclose(second.predict("serving_raw", rows.raw)["probability"], rows.scores[2], atol=1e-6)
        np.testing.assert_allclose(first.predict("serving_raw", rows.raw)["probability"], rows.scores[1], atol=1e-6)


def test_many_threads_get_their_own_rows_back(exports: dict[int, Path], rows: Rows) -> None:
    def one(i: int) -> float:
        raw = {name: values[i : i + 1] for name, values in rows.raw.items()}
        return servable.predict("serving_raw", raw)["probability"].item()

    with Servable(exports[1]) as servable, ThreadPoolExecutor(8) as pool:
        scores = list(pool.map(one, list(range(50)) * 10))
    np.testing.assert_allclose(scores, np.tile(rows.scores[1], 10), atol=1e-6)


def test_close_waits_for_what_runs_and_refuses_what_comes(exports: dict[int, Path]) -> None:
    servable = Servable(exports[1])
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with servable.lease():
            held.set()
            time.sleep(0.3)
            # Still loaded for who holds it: a lease is not a promise that predict then breaks.
            done.set()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    servable.close()
    assert done.is_set()
    holder.join()
    with pytest.raises(UnavailableError):
        servable.predict("matmul", {"x": np.ones((1, 3), np.float32)})
    servable.close()


@pytest.mark.parametrize("removed", ["saved_model.pb", "variables"])
def test_half_a_saved_model_does_not_load(base_path: Path, removed: str) -> None:
    directory = base_path / "1"
    target = directory / removed
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    with pytest.raises(ServableLoadError, match=str(directory)):
        Servable(directory)


def test_a_damaged_graph_does_not_load(base_path: Path) -> None:
    (base_path / "1" / "saved_model.pb").write_bytes(b"\x00not a proto")
    with pytest.raises(ServableLoadError, match=str(base_path)):
        Servable(base_path / "1")
