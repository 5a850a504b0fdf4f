"""TensorFlow imported in less time, for those who only run graphs.

TensorFlow imports the whole of Keras along with itself, and so pandas, scikit-learn and IPython where they are
installed, lest a program later needs an optimizer's registration. It costs a server's start seconds, and a graph that
runs in a session needs none of it. Who asks for Keras later gets it then, as ever. And Python's collector looks at
hundreds of thousands of objects, again and again while they are made, of which none is garbage.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

_KERAS = ("keras", "tf_keras")


class _Refusal(importlib.abc.Loader):
    """Fails as an import fails, which TensorFlow takes for Keras not being installed."""

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        raise ModuleNotFoundError(f"{spec.name} is not imported along with TensorFlow", name=spec.name)

    def exec_module(self, module: ModuleType) -> None:
        raise AssertionError("there is no module to execute")


class _KerasFinder(importlib.abc.MetaPathFinder):
    """Finds Keras where it is, because TensorFlow also asks where that would be, and does not load it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in _KERAS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
        if spec is not None:
            spec.loader = _Refusal()
        return spec


@contextmanager
def lean_import() -> Iterator[None]:
    """Imports TensorFlow, in its block, without Keras and without collecting garbage; Keras stays where it is there."""
    finder = _KerasFinder()
    collects = gc.isenabled()
    sys.meta_path.insert(0, finder)
    gc.disable()
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        if collects:
            gc.enable()
