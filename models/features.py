"""What the model knows of its inputs: fields, vocabulary sizes, and where a field's ids lie in the table."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from data.spec import DatasetSpec
from data.strict_model import StrictModel

Name = Annotated[str, Field(min_length=1)]


class FeatureLayout(StrictModel):
    """The columns of the transformed example, and the one embedding table that they share.

    A field's local ids run from 0, its default id (missing, rare or unseen), to its vocabulary size - 1.
    Adding the field's offset gives the row of the table. Written to and read from JSON with `model_dump_json`
    and `model_validate_json`.

    Attributes:
      id_fields: Names of the F id fields, in the order of the columns of `ids`; a multi-valued one has several.
      vocabulary_sizes: Number of ids of each id field, the default id included.
      value_fields: Names of the G numeric fields, in the order of the columns of `values`; a vector has several.
      slots: Of each multi-valued field, the last ones of the id fields: how many columns of `ids` hold its values. A
        negative id there is none.
      widths: Of each vector, the last ones of the value fields: how many columns of `values` hold its numbers.
      num_domains: Number S of domains; domain S in a row means one that is not listed.
      user_field: Index in `id_fields` of the user.
      item_field: Index in `id_fields` of the item.
    """

    id_fields: Annotated[tuple[Name, ...], Field(strict=False, min_length=1)]
    vocabulary_sizes: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)]
    value_fields: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    slots: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = ()
    widths: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(strict=False)] = ()
    num_domains: Annotated[int, Field(ge=1)]
    user_field: Annotated[int, Field(ge=0)] = 0
    item_field: Annotated[int, Field(ge=0)] = 1

    @model_validator(mode="after")
    def _consistent(self) -> FeatureLayout:
        fields = len(self.id_fields)
        if len(self.vocabulary_sizes) != fields:
            raise ValueError(
                f"`vocabulary_sizes` should have one entry for each of the {fields} id fields. "
                f"Received: {len(self.vocabulary_sizes)} entries"
            )
        for name, last, all_fields in (
            ("slots", len(self.slots), fields),
            ("widths", len(self.widths), len(self.value_fields)),
        ):
            if last > all_fields:
                raise ValueError(f"`{name}` should have at most {all_fields} entries. Received: {last}")
        for name, index in (("user_field", self.user_field), ("item_field", self.item_field)):
            single = fields - len(self.slots)
            if index >= single:
                raise ValueError(
                    f"`{name}` should be the index of an id field of one value, below {single}. Received: {index}"
                )
        return self

    @classmethod
    def from_spec(cls, spec: DatasetSpec, vocabulary_sizes: Mapping[str, int]) -> FeatureLayout:
        """The layout of a dataset.

        Args:
          spec: The dataset.
          vocabulary_sizes: Number of ids, the default id included, of every id field by name.

        Raises:
          KeyError: An id field has no vocabulary size.
        """
        names = tuple(feature.name for feature in spec.id_fields)
        return cls(
            id_fields=names,
            vocabulary_sizes=tuple(vocabulary_sizes[name] for name in names),
            value_fields=tuple(feature.name for feature in spec.value_fields),
            slots=tuple(feature.max_values for feature in spec.id_fields if feature.kind == "multi_valued"),
            widths=tuple(feature.width or 0 for feature in spec.value_fields if feature.kind == "vector"),
            num_domains=len(spec.domains),
            user_field=names.index(spec.roles.user),
            item_field=names.index(spec.roles.item),
        )

    @property
    def num_id_fields(self) -> int:
        """F, the number of id fields."""
        return len(self.id_fields)

    @property
    def num_value_fields(self) -> int:
        """G, the number of numeric fields."""
        return len(self.value_fields)

    @property
    def num_id_columns(self) -> int:
        """Columns of `ids`."""
        return self.num_id_fields - len(self.slots) + sum(self.slots)

    @property
    def first_columns(self) -> tuple[int, ...]:
        """Column of `ids` at which each field begins."""
        counts = [*[1] * (self.num_id_fields - len(self.slots)), *self.slots]
        return tuple(itertools.accumulate(counts[:-1], initial=0))

    @property
    def num_value_columns(self) -> int:
        """Columns of `values`."""
        return self.num_value_fields - len(self.widths) + sum(self.widths)

    @property
    def offsets(self) -> tuple[int, ...]:
        """Row of the table at which each field's default id lies."""
        return tuple(itertools.accumulate(self.vocabulary_sizes, initial=0))[:-1]

    @property
    def total_ids(self) -> int:
        """Number of rows of the table."""
        return sum(self.vocabulary_sizes)
