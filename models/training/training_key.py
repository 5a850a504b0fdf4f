"""The name of a training: a hash of all that decides its outcome."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping


def training_key(parts: Mapping[str, str]) -> str:
    """Names a training by all that decides its outcome, so that only the very same training is resumed.

    Args:
      parts: Config, code and data, as text.

    Returns:
      16 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(dict(parts), sort_keys=True).encode()).hexdigest()[:16]
