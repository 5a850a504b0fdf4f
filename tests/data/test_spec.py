from __future__ import annotations

import datetime

import pytest
from pydantic import ValidationError

from data.feature import Feature
from tests.data.small_log import SPEC, make_spec


def refusal(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        make_spec(**changes)
    return str(caught.value)


def test_raw_inputs_are_user_item_the_other_features_and_the_domain() -> None:
    spec = make_spec()
    names = ["user_id", "video_id", "degree", "register_days", "author_id", "tag", "duration_ms"]
    assert [feature.name for feature in spec.fields] == names
    assert [feature.name for feature in spec.raw_inputs] == [*names, "tab"]
    listed = make_spec(features=[{"name": "tab"}, {"name": "degree"}])
    assert [feature.name for feature in listed.fields] == ["user_id", "video_id", "tab", "degree"]
    assert listed.raw_inputs == listed.fields


def test_raw_types_follow_the_kind() -> None:
    assert Feature(name="a").raw_dtype == "string"
    assert Feature(name="a", kind="numeric").raw_dtype == "float32"
    assert Feature(name="a", dtype="int64").raw_dtype == "int64"


def test_whole_numbers_in_yaml_are_domains() -> None:
    assert make_spec(domains=[0, "1", 6]).domains == ("0", "1", "6")


@pytest.mark.parametrize("name", ["long_view", "is_click"])
def test_what_happens_after_the_impression_is_no_feature(name: str) -> None:
    assert f"feature '{name}' is the label or happens after the impression" in refusal(features=[{"name": name}])


def test_the_time_is_no_feature() -> None:
    assert "the time column 'time_ms' cannot be a feature" in refusal(features=[{"name": "time_ms"}])


def test_a_column_has_one_role() -> None:
    roles = {**SPEC["roles"], "item": "user_id"}
    assert "user, item, domain, label and time must be five columns" in refusal(roles=roles)


def test_splits_are_in_order() -> None:
    day = datetime.date(2022, 4, 26)
    split = {**SPEC["split"], "validation": {"first": day, "last": day}}
    assert "one ends on 2022-04-26, the next starts on 2022-04-26" in refusal(split=split)
    assert "ends on 2022-04-26, before it starts on 2022-04-27" in refusal(
        split={**SPEC["split"], "test": {"first": datetime.date(2022, 4, 27), "last": day}}
    )


def test_unknown_time_zone() -> None:
    assert "unknown time zone 'Mars/Olympus'" in refusal(split={"method": "time", "timezone": "Mars/Olympus"})
