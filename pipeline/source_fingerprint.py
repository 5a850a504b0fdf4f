"""A fingerprint of the project's own code, so that a changed model is never answered from TFX's cache."""

from __future__ import annotations

import hashlib
from importlib import import_module
from pathlib import Path


def source_fingerprint(*packages: str) -> str:
    """Hashes the sources of some of the project's packages.

    TFX's cache keys hold the import path of a user function but not its code: an edited preprocessing or model would
    be answered with the outputs of the old one. Components that run our code take this as an execution property.

    Args:
      *packages: Names of packages, such as `models`.

    Returns:
      16 hexadecimal digits, the same for the same code wherever it is installed.
    """
    digest = hashlib.sha256()
    for package in packages:
        location = import_module(package).__file__
        if location is None:
            raise ValueError(f"{package} is not a package with an __init__.py")
        root = Path(location).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{package}/{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
