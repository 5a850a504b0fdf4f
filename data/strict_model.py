"""What every section of a config is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A config section: unknown keys are refused, values are not coerced silently, and it cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
