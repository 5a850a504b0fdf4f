"""Information abundance of embeddings and of expert outputs: as a whole, by domain, and by frequency group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from models.analysis.spectrum import Abundance, abundance, frequency_groups, information_abundance

FREQUENCY_GROUPS = ("head", "middle", "tail")
"""Ids that hold a third of the occurrences each, the most frequent first."""

_Ids = npt.NDArray[np.integer]


class FrequencyGroup(TypedDict):
    """The abundance of one frequency group.

    Attributes:
      size: Ids, or rows, in the group.
      information_abundance: See `spectrum.information_abundance`.
    """

    size: int
    information_abundance: float | None


class DividedAbundance(Abundance):
    """An abundance and those of its parts.

    Attributes:
      by_domain: That of the ids, or rows, of each domain.
      by_frequency: That of each frequency group.
    """

    by_domain: Mapping[str, float | None]
    by_frequency: Mapping[str, FrequencyGroup]


def embedding_abundance(
    table: npt.NDArray[np.floating], ids: _Ids, domains: _Ids, domain_names: Sequence[str]
) -> DividedAbundance:
    """A field's embeddings: all of them, those of ids that occur in a domain's rows, and those of a frequency group.

    Args:
      table: [V, d].
      ids: Integers [N], the field's id of each row.
      domains: Integers [N], the domain of each row.
      domain_names: Names of the S domains.
    """
    groups = frequency_groups(np.bincount(ids, minlength=len(table)))
    of_domains = [table[np.unique(ids[domains == s])] for s in range(len(domain_names))]
    return _divided(table, of_domains, domain_names, groups)


def expert_abundance(
    outputs: npt.NDArray[np.floating], item_ids: _Ids, domains: _Ids, domain_names: Sequence[str]
) -> DividedAbundance:
    """An expert's outputs: on all rows, on each domain's, and on the rows of items of a frequency group.

    Args:
      outputs: [N, d].
      item_ids: Integers [N], the item's id of each row.
      domains: Integers [N], the domain of each row.
      domain_names: Names of the S domains.
    """
    groups = frequency_groups(np.bincount(item_ids))[item_ids]
    return _divided(outputs, [outputs[domains == s] for s in range(len(domain_names))], domain_names, groups)


def _divided(
    matrix: npt.NDArray[np.floating],
    of_domains: Sequence[npt.NDArray[np.floating]],
    domain_names: Sequence[str],
    groups: npt.NDArray[np.int64],
) -> DividedAbundance:
    of_groups = [matrix[groups == g] for g in range(len(FREQUENCY_GROUPS))]
    return DividedAbundance(
        **abundance(matrix),
        by_domain={name: information_abundance(part) for name, part in zip(domain_names, of_domains, strict=True)},
        by_frequency={
            name: FrequencyGroup(size=len(part), information_abundance=information_abundance(part))
            for name, part in zip(FREQUENCY_GROUPS, of_groups, strict=True)
        },
    )
