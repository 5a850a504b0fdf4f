"""Warm start: an old model's weights put into a new one, value by value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow_transform as tft

from data.errors import InputError
from data.spec import DatasetSpec
from models.export import model_weights
from models.layers.domain_embedding import DomainEmbedding
from models.warm_start.axes import AxisMaps, axis_maps, put
from models.warm_start.id_maps import NONE, map_ids
from models.warm_start.trained_model import TrainedModel, read_vocabulary
from models.warm_start.variable_paths import weights_by_path
from models.zoo.base import MultiDomainModel


@dataclass(frozen=True)
class Grown:
    """A weight of which not every part was there.

    Attributes:
      kept: Rows (of the axis that changed most) that are those of the old model.
      new: Rows that start from the initialiser.
      dropped: The old model's rows that nothing stands for any more.
    """

    kept: int
    new: int
    dropped: int


@dataclass(frozen=True)
class WarmStart:
    """What became of every weight; written to `training.json`.

    Attributes:
      model: Folder of the SavedModel that it started from.
      copied: Paths of the weights that are as they were.
      grown: Of the weights that are so in part.
      new: Weights that the old model has not.
      dropped: Weights that only the old model has.
      new_fields: Fields that the old model has not.
      new_domains: Domains that the old model has not.
    """

    model: str
    copied: tuple[str, ...]
    grown: Mapping[str, Grown]
    new: tuple[str, ...]
    dropped: tuple[str, ...]
    new_fields: tuple[str, ...]
    new_domains: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

    def in_words(self) -> list[str]:
        """Lines to show: the whole, then one for each weight that was not simply copied."""
        lines = [f"warm start from {self.model}: {len(self.copied)} weights copied, {len(self.grown)} in part"]
        lines += [
            f"  {path}: {part.kept:,} rows kept, {part.new:,} new, {part.dropped:,} dropped"
            for path, part in self.grown.items()
        ]
        for what, names in (
            ("new fields", self.new_fields),
            ("new domains", self.new_domains),
            ("weights that start anew", self.new),
            ("weights left behind", self.dropped),
        ):
            lines += [f"  {what}: {', '.join(names)}"] if names else []
        return lines


def warm_start(
    model: MultiDomainModel, spec: DatasetSpec, values: Callable[[str], pa.Array | None], saved_model: str
) -> WarmStart:
    """Puts the weights of an exported model into a new one of the same class.

    Old values of a field keep their rows wherever their ids have moved, and so do the weights of the linear part and
    whatever else goes by ids; new values keep what they start from; values that fell out are dropped. All other weights
    are copied. Of a new field or a new domain the parts that only it has start anew. The optimizers' memory is not in
    an exported model: moments start from 0.

    Args:
      model: As initialised, before its average or its optimizer have looked at it.
      spec: The dataset.
      values: Values by id of a field of the new model, id 0 the default; None for a field of buckets.
      saved_model: Folder of the old model.

    Returns:
      What became of every weight.

    Raises:
      InputError: The old model cannot be read, is another model, or has other sizes.
    """
    old = TrainedModel(saved_model)
    record = old.record
    if record.model.name != model.config.name:
        raise InputError(
            f"training.warm_start: the model there is {record.model.name!r}, and model.name is {model.config.name!r}",
            file=saved_model,
        )
    maps = map_ids(
        record.layout,
        model.layout,
        lambda name: old.vocabulary(name) if name in record.vocabularies else None,
        values,
        record.domains,
        spec.domains,
    )
    crossed = frozenset(id(layer.crossed) for layer in model.submodules if isinstance(layer, DomainEmbedding))
    kept = {variable.ref() for variable in model_weights(model)}
    weights = {path: weight for path, weight in weights_by_path(model).items() if weight.variable.ref() in kept}
    found: dict[str, AxisMaps] = {}
    lost, misfits = [], []
    for path, weight in weights.items():
        if path not in record.weights:
            lost.append(path)
            continue
        of_axes = axis_maps(path, weight, old.shape(path), maps, crossed, model.config.embedding_dim)
        if of_axes is not None:
            found[path] = of_axes
        elif model.layout.num_domains != record.layout.num_domains or len(maps.fields()) != len(_fields(record.layout)):
            # Where fields or domains have come or gone, a weight may have a size of them that is nobody's name.
            lost.append(path)
        else:
            misfits.append(f"{path} was {list(old.shape(path))}, is {weight.variable.shape.as_list()}")
    if misfits or not found:
        raise InputError(_misfit(record.model, model.config, misfits), file=saved_model)
    for path, of_axes in found.items():
        put(weights[path].variable, old.weight(path), of_axes)
    return WarmStart(
        model=saved_model,
        copied=tuple(path for path, of_axes in found.items() if not of_axes),
        grown={path: _grown(of_axes, old.shape(path)) for path, of_axes in found.items() if of_axes},
        new=tuple(lost),
        dropped=tuple(path for path in record.weights if path not in weights),
        new_fields=tuple(name for name in _fields(model.layout) if name not in _fields(record.layout)),
        new_domains=spec.domains[len(record.domains) :],
    )


def transform_values(spec: DatasetSpec, transform: tft.TFTransformOutput) -> Callable[[str], pa.Array | None]:
    """The values by id of Transform's fields, as `warm_start` takes them."""
    with_vocabulary = {field.name for field in spec.id_fields if field.has_vocabulary}
    return lambda name: read_vocabulary(transform.vocabulary_file_by_name(name)) if name in with_vocabulary else None


def _fields(layout: Any) -> tuple[str, ...]:
    fields: tuple[str, ...] = (*layout.id_fields, *layout.value_fields)
    return fields


def _grown(maps: AxisMaps, shape: tuple[int, ...]) -> Grown:
    axis = max(maps, key=lambda axis: int(np.sum(maps[axis] == NONE)))
    known = maps[axis][maps[axis] != NONE]
    return Grown(kept=len(known), new=len(maps[axis]) - len(known), dropped=shape[axis] - len(np.unique(known)))


def _misfit(old: Any, new: Any, misfits: list[str]) -> str:
    before, after = old.model_dump(), new.model_dump()
    changed = [f"model.{key} was {before[key]}, is {after[key]}" for key in after if before[key] != after[key]]
    text = "training.warm_start: the model there has other sizes"
    text += f" ({'; '.join(changed)})" if changed else ""
    more = f", and {len(misfits) - 3} more" if len(misfits) > 3 else ""
    return f"{text}: {'; '.join(misfits[:3])}{more}"
