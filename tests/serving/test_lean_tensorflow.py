import gc
import importlib
import importlib.util
import subprocess
import sys
from importlib.machinery import PathFinder

import pytest

from serving.lean_tensorflow import lean_import


@pytest.mark.parametrize("name", ["keras", "tf_keras"])
def test_keras_is_found_and_not_loaded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    there = PathFinder.find_spec(name)
    assert there is not None
    monkeypatch.delitem(sys.modules, name, raising=False)
    with lean_import():
        found = importlib.util.find_spec(name)
        assert found is not None and found.submodule_search_locations == there.submodule_search_locations
        # As TensorFlow imports it, and takes the failure for a machine without Keras.
        with pytest.raises(ImportError, match=f"{name} is not imported along with TensorFlow"):
            importlib.import_module(name)
        assert name not in sys.modules and not gc.isenabled()
    assert gc.isenabled()
    found = importlib.util.find_spec(name)
    assert found is not None and found.loader is not None and type(found.loader) is type(there.loader)


@pytest.mark.slow
def test_a_server_imports_no_keras_and_who_wants_it_has_it_afterwards() -> None:
    program = (
        "import sys, serving.server\n"
        "print([name for name in ('keras', 'tf_keras', 'pandas', 'sklearn', 'IPython') if name in sys.modules])\n"
        "import tensorflow as tf\n"
        "assert tf.keras.layers.Dense(1)(tf.ones((1, 2))).shape == (1, 1)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
