"""One input field of the model: what its raw values are, and what becomes of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from data.strict_model import StrictModel

FeatureKind = Literal["categorical", "numeric"]
Side = Literal["user", "item", "context"]
NumericTransform = Literal["quantile", "log1p", "standardize"]


class Feature(StrictModel):
    """One input field of the model.

    Attributes:
      name: Column of the joined log, and name of the feature in tf.Examples and serving signatures.
      kind: `categorical` (looked up in a vocabulary) or `numeric`.
      side: Whether it describes the user, the item or the impression's context.
      dtype: Type of the raw value. Defaults to `string` for categorical and `float32` for numeric fields.
      missing: Raw values that mean "unknown", besides the empty string. A missing categorical value gets the
        field's default id; a missing numeric value the default bucket, or 0 after standardisation.
      min_count: A value seen fewer times than this in the training rows falls to the field's default id.
        Defaults to the dataset's `min_count`.
      transform: For numeric fields: `quantile` (bucket ids), `log1p` (log1p, then standardised) or
        `standardize`. All are fit on training rows only.
      buckets: Number of quantile buckets.
    """

    name: Annotated[str, Field(min_length=1)]
    kind: FeatureKind = "categorical"
    side: Side = "context"
    dtype: Literal["string", "int64", "float32"] | None = None
    missing: Annotated[tuple[str, ...], Field(strict=False)] = ()
    min_count: Annotated[int, Field(ge=1)] | None = None
    transform: NumericTransform = "quantile"
    buckets: Annotated[int, Field(ge=2, le=4096)] = 16

    @model_validator(mode="after")
    def _dtype_fits_kind(self) -> Feature:
        if self.kind == "categorical" and self.dtype == "float32":
            raise ValueError(f"feature {self.name!r}: a categorical field is string or int64, found float32")
        if self.kind == "numeric" and self.dtype in ("string", "int64"):
            raise ValueError(f"feature {self.name!r}: a numeric field is float32, found {self.dtype}")
        return self

    @property
    def raw_dtype(self) -> Literal["string", "int64", "float32"]:
        """Type of the raw value in the joined log, in tf.Examples and in serving signatures."""
        return self.dtype or ("string" if self.kind == "categorical" else "float32")
