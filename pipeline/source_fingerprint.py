"""A fingerprint of the project's own code, so that a changed model is never answered from TFX's cache."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path


def source_fingerprint(*names: str) -> str:
    """Hashes the sources of some of the project's packages and modules.

    TFX's cache keys hold the import path of a user function but not its code: an edited preprocessing or model would
    be answered with the outputs of the old one. Components that run our code take this as an execution property.

    Args:
      *names: Packages, with all that is in them, or single modules: `models`, `pipeline.preprocessing`.

    Returns:
      16 hexadecimal digits, the same for the same code wherever it is installed.
    """
    digest = hashlib.sha256()
    for name in names:
        location = find_spec(name)
        if location is None or location.origin is None:
            raise ValueError(f"{name} has no source file")
        origin = Path(location.origin)
        is_package = location.submodule_search_locations is not None
        for path in sorted(origin.parent.rglob("*.py")) if is_package else [origin]:
            digest.update(f"{name}/{path.relative_to(origin.parent)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
