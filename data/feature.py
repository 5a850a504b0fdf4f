"""One input field of the model: what its raw values are, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.strict_model import StrictModel

FeatureKind = Literal["categorical", "numeric", "multi_valued", "vector"]
Side = Literal["user", "item", "context"]
NumericTransform = Literal["quantile", "log1p", "standardize"]


class Feature(StrictModel):
    """One input field of the model.

    Attributes:
      name: Column of the joined log, and name of the feature in tf.Examples and serving signatures.
      kind: `categorical` (looked up in a vocabulary), `numeric`, `multi_valued` (any number of values, each looked up
        in one vocabulary; the model averages their embeddings) or `vector` (`width` numbers, such as a pre-trained
        embedding, which the model projects).
      side: Whether it describes the user, the item or the impression's context.
      dtype: Type of the raw value. Defaults to `string` for categorical and `float32` for numeric fields.
      missing: Raw values that mean "unknown", besides the empty string; of a multi-valued field, of one of
        its values. A missing categorical value gets the
        field's default id, as has a row without any value of a multi-valued field; a missing numeric value the
        default bucket, or 0 after standardisation; a missing vector is zeros.
      min_count: A value seen in fewer of the training rows than this falls to the field's default id.
        Defaults to the dataset's `min_count`.
      transform: For numeric fields: `quantile` (bucket ids), `log1p` (log1p, then standardised) or
        `standardize`. All are fit on training rows only.
      buckets: Number of quantile buckets.
      separator: For multi-valued fields: the text between two values, where a row's values are one text.
      max_values: For multi-valued fields: how many of a row's values count, the first ones.
      width: For vectors, where it is required: how many numbers a row has.
    """

    name: Annotated[str, Field(min_length=1)]
    kind: FeatureKind = "categorical"
    side: Side = "context"
    dtype: Literal["string", "int64", "float32"] | None = None
    missing: Annotated[tuple[str, ...], Field(strict=False)] = ()
    min_count: Annotated[int, Field(ge=1)] | None = None
    transform: NumericTransform = "quantile"
    buckets: Annotated[int, Field(ge=2, le=4096)] = 16
    separator: Annotated[str, Field(min_length=1)] = ","
    max_values: Annotated[int, Field(ge=1, le=1024)] = 8
    width: Annotated[int, Field(ge=1, le=65536)] | None = None

    @model_validator(mode="after")
    def _dtype_fits_kind(self) -> Feature:
        if self.kind == "categorical" and self.dtype == "float32":
            raise ValueError(f"feature {self.name!r}: a categorical field is string or int64, found float32")
        if self.kind in ("numeric", "vector") and self.dtype in ("string", "int64"):
            raise ValueError(f"feature {self.name!r}: a {self.kind} field is float32, found {self.dtype}")
        if self.kind == "multi_valued" and self.dtype in ("int64", "float32"):
            raise ValueError(
                f"feature {self.name!r}: the values of a multi_valued field are text, integers too: expected the dtype "
                f"string, found {self.dtype}"
            )
        if self.kind == "vector" and self.width is None:
            raise ValueError(f"feature {self.name!r}: a vector needs its `width`, how many numbers a row has")
        for key, kind in (("separator", "multi_valued"), ("max_values", "multi_valued"), ("width", "vector")):
            if self.kind != kind and getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"feature {self.name!r}: `{key}` is for a {kind} field, found the kind {self.kind}")
        divided = [value for value in self.missing if self.kind == "multi_valued" and self.separator in value]
        if divided:
            raise ValueError(
                f"feature {self.name!r}: `missing` is of single values, found the separator in {divided[0]!r}"
            )
        return self

    @property
    def has_vocabulary(self) -> bool:
        """Whether its values are looked up."""
        return self.kind in ("categorical", "multi_valued")

    @property
    def raw_dtype(self) -> Literal["string", "int64", "float32"]:
        """Type of a raw value (of one of several) in the joined log, in tf.Examples and in serving signatures."""
        return self.dtype or ("string" if self.has_vocabulary else "float32")
