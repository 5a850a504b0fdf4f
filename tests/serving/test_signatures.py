import numpy as np
import pytest

from serving.errors import FailedPreconditionError, InvalidArgumentError
from serving.protos import SignatureDef
from serving.signatures import feeds, fetches, find_signature
from serving.tensors import to_proto


def signature(inputs: str, outputs: str = "y", defaults: str = "") -> SignatureDef:
    message = SignatureDef()
    for alias in inputs:
        message.inputs[alias].name = f"{alias}:0"
    for alias in outputs:
        message.outputs[alias].name = f"{alias}:0"
    for alias in defaults:
        message.defaults[alias].CopyFrom(to_proto(np.float32(ord(alias))))
    return message


def values(aliases: str) -> dict[str, np.ndarray]:
    return {alias: np.float32([1]) for alias in aliases}


def test_unknown_signature() -> None:
    with pytest.raises(FailedPreconditionError) as caught:
        find_signature({"a": signature("x")}, "nope")
    assert caught.value.message == 'Serving signature key "nope" not found.'


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ("", "0!=2 len({}) != len({a,b}). Sent extra: {}. Missing but required: {a,b}."),
        ("b", "1!=2 len({b}) != len({a,b}). Sent extra: {}. Missing but required: {a}."),
        ("zabc", "4!=2 len({a,b,c,z}) != len({a,b}). Sent extra: {c,z}. Missing but required: {}."),
        ("z", "1!=2 len({z}) != len({a,b}). Sent extra: {z}. Missing but required: {a,b}."),
    ],
)
def test_another_number_of_inputs(sent: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        feeds(signature("ba"), values(sent))
    assert caught.value.message == "input size does not match signature: " + message


def test_the_right_number_but_a_wrong_name() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        feeds(signature("ab"), values("zb"))
    assert caught.value.message == (
        "Signature input alias: a(feed name: a:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {b,z}, or default input alias set: "
    )


def test_a_default_stands_in_for_what_is_left_out() -> None:
    fed = dict(feeds(signature("ab", defaults="b"), values("a")))
    assert fed["b:0"] == ord("b")
    assert fed["a:0"] == 1


def test_what_is_sent_wins_over_its_default() -> None:
    assert dict(feeds(signature("ab", defaults="b"), values("ab")))["b:0"] == 1


def test_an_unknown_name_where_a_default_makes_the_rest_complete() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        feeds(signature("ab", defaults="b"), values("az"))
    assert caught.value.message == ("Inputs contains invalid name. Used request inputs: a, request input: a,z")


def test_all_outputs_unless_a_filter_names_some_in_its_order() -> None:
    assert fetches(signature("x", "yz")) == [("y", "y:0"), ("z", "z:0")]
    assert fetches(signature("x", "xyz"), ["z", "x"]) == [("z", "z:0"), ("x", "x:0")]


def test_bad_filters() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        fetches(signature("x", "yw"), ["y", "q"])
    assert caught.value.message == (
        "output tensor alias not found in signature: q Outputs expected to be in the set {w,y}."
    )
    with pytest.raises(InvalidArgumentError) as caught:
        fetches(signature("x", "yw"), ["y", "y"])
    assert caught.value.message == "duplicate output tensor alias: y"
