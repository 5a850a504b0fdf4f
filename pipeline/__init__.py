"""The TFX pipeline: `create_pipeline`, its settings, Beam preprocessing, components, and the Evaluator's metrics."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    # Importing TFX takes ten seconds; whoever needs only the config does not pay for it.
    if name == "create_pipeline":
        from pipeline.pipeline import create_pipeline

        return create_pipeline
    if name == "Vocabularies":
        from pipeline.components.vocabulary_gen import Vocabularies

        return Vocabularies
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
