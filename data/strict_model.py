"""What every section of a config is."""

from __future__ import annotations

import json

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A config section: unknown keys are refused, values are not coerced silently, and it cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def __hash__(self) -> int:
        """Equal sections have one hash, those that hold dictionaries too: models are the keys of comparisons."""
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))
