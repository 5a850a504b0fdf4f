"""Finds the newest artifact of earlier runs; on a first run there is none, and that is no error."""

from __future__ import annotations

import ml_metadata as mlmd
from tfx import types
from tfx.dsl.components.common import resolver


class LatestOrNoneStrategy(resolver.ResolverStrategy):
    """As TFX's LatestArtifactStrategy, which fails where there is nothing to find."""

    def resolve_artifacts(
        self, store: mlmd.MetadataStore, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """The newest artifact of every channel, or none."""
        del store
        return {key: sorted(found, key=lambda artifact: artifact.id)[-1:] for key, found in input_dict.items()}
