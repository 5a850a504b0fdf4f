"""All instruments on one model: what analysis.json holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from models.analysis.captured import Captured, EmbeddingSpace
from models.analysis.diversity import diversity_index
from models.analysis.divided_abundance import embedding_abundance, expert_abundance
from models.analysis.entanglement import interest_entanglement
from models.analysis.expert_covariance import correlation, dimension_covariance, expert_covariance, off_diagonal_mean
from models.analysis.field_correlation import field_correlation
from models.analysis.gate_choices import gate_choices

_FIELD_ROWS = 5_000


def analyze(
    spaces: Sequence[EmbeddingSpace],
    rows: Captured,
    field_names: Sequence[str],
    domain_names: Sequence[str],
    user_field: int,
    item_field: int,
    conflicts: npt.NDArray[np.bool_] | None = None,
    domain_norms: npt.NDArray[np.floating] | None = None,
) -> dict[str, Any]:
    """Puts every instrument's finding together, ready for JSON.

    Args:
      spaces: The model's embedding spaces.
      rows: The model on some rows.
      field_names: Names of the F id fields.
      domain_names: Names of the S domains.
      user_field: Index of the user's field.
      item_field: Index of the item's field.
      conflicts: bool [S, S, N] from SDEM on the same rows; None leaves the diversity index out.
      domain_norms: [S, N], norms of the outputs of every domain's own experts; None where none is bound to a domain.
    """
    found: dict[str, Any] = {
        "rows": len(rows.labels),
        "user_field": field_names[user_field],
        "item_field": field_names[item_field],
        "embeddings": {
            space.name: {
                field_names[f]: embedding_abundance(space.fields[f], rows.ids[:, f], rows.domains, domain_names)
                for f in range(len(field_names))
            }
            for space in spaces
        },
    }
    if rows.experts is not None:
        by_expert = expert_covariance(rows.experts)
        dimensions = dimension_covariance(rows.experts)
        found["experts"] = [
            expert_abundance(outputs, rows.ids[:, item_field], rows.domains, domain_names) for outputs in rows.experts
        ]
        found["covariance"] = {
            "between_experts": by_expert.tolist(),
            "off_diagonal_mean": off_diagonal_mean(by_expert),
            "between_dimensions": dimensions.tolist(),
            "correlation_between_dimensions": correlation(dimensions).tolist(),
        }
        if conflicts is not None:
            bound = domain_norms is not None
            norms = np.linalg.norm(rows.experts, axis=2) if domain_norms is None else domain_norms
            found["diversity"] = diversity_index(conflicts, norms, domain_bound=bound)
    if rows.gates is not None:
        choices = gate_choices(rows.gates, rows.domains, len(domain_names))
        found["gates"] = dict(zip(domain_names, choices, strict=True))
    if spaces:
        users = np.stack([space.fields[user_field][rows.ids[:, user_field]] for space in spaces])
        items = np.stack([space.fields[item_field][rows.ids[:, item_field]] for space in spaces])
        if users.shape == items.shape:
            found["entanglement"] = {
                "spaces": [space.name for space in spaces],
                **interest_entanglement(users, items, rows.labels),
            }
        few = slice(0, _FIELD_ROWS)
        embedded = [
            np.stack([space.fields[f][rows.ids[few, f]] for f in range(len(field_names))], axis=1) for space in spaces
        ]
        found["fields"] = {
            "names": list(field_names),
            **field_correlation(rows.ids[few], rows.labels[few], np.concatenate(embedded, axis=2)),
        }
    return found
