import pytest
from pydantic import ValidationError

from data.feature import Feature
from data.log_spec import Roles, TimeColumn
from data.spec import DatasetSpec
from models.features import FeatureLayout

LAYOUT = FeatureLayout(id_fields=("user", "item", "hour"), vocabulary_sizes=(10, 20, 3), num_domains=2)


def test_fields_follow_each_other_in_the_table():
    # user 0 ... 9, item 10 ... 29, hour 30 ... 32.
    assert LAYOUT.offsets == (0, 10, 30)
    assert LAYOUT.total_ids == 33


def test_json_round_trip():
    assert FeatureLayout.model_validate_json(LAYOUT.model_dump_json()) == LAYOUT
    assert FeatureLayout.model_validate(LAYOUT.model_dump(mode="json")) == LAYOUT


@pytest.mark.parametrize(
    "change",
    [
        {"vocabulary_sizes": (10, 20)},
        {"vocabulary_sizes": (10, 20, 0)},
        {"num_domains": 0},
        {"user_field": 3},
        {"item_field": -1},
        {"id_fields": ()},
    ],
)
def test_inconsistent_layout_is_refused(change):
    with pytest.raises(ValidationError):
        FeatureLayout(**{**LAYOUT.model_dump(), **change})


def test_from_spec_takes_user_item_and_kinds_from_the_dataset():
    spec = DatasetSpec(
        name="log",
        layout="csv",
        roles=Roles(user="who", item="what", domain="tab", label="click", time=TimeColumn(column="at")),
        domains=("a", "b", "c"),
        features=(
            Feature(name="age", kind="numeric", transform="quantile"),
            Feature(name="price", kind="numeric", transform="log1p"),
            Feature(name="what"),
        ),
    )
    layout = FeatureLayout.from_spec(spec, {"who": 4, "what": 5, "age": 17})
    assert layout.id_fields[layout.user_field] == "who"
    assert layout.id_fields[layout.item_field] == "what"
    assert dict(zip(layout.id_fields, layout.vocabulary_sizes, strict=True)) == {
        "who": 4,
        "what": 5,
        "age": 17,
    }
    assert layout.value_fields == ("price",)
    assert layout.num_domains == 3
    with pytest.raises(KeyError):
        FeatureLayout.from_spec(spec, {"who": 4, "what": 5})
