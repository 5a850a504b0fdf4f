"""Reading a request's JSON, with the errors that TensorFlow Serving's parser (RapidJSON) has for it."""

import json
from typing import Any

from serving.errors import InvalidArgumentError

_ECHO_LIMIT = 256
# Python's words to RapidJSON's.
_MESSAGES = {
    "Expecting value": "Invalid value.",
    "Extra data": "The document root must not be followed by other values.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Illegal trailing comma before end of object": "Missing a name for object member.",
    "Illegal trailing comma before end of array": "Invalid value.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
    "Invalid \\uXXXX escape": "Incorrect hex digit after \\u escape in string.",
}
_TYPES = {
    type(None): "Null",
    bool: "Bool",
    dict: "Object",
    list: "Array",
    str: "String",
    int: "Number",
    float: "Number",
}


def parse_object(body: bytes) -> dict[str, Any]:
    """Parses a request's body, which should be a JSON object; NaN and Infinity are numbers.

    Bytes that are no UTF-8 are kept as they are (``surrogateescape``).

    Raises:
        InvalidArgumentError: It is not, in TensorFlow Serving's words.
    """
    if not body:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    if not text.strip(" \t\n\r"):
        raise InvalidArgumentError(f"JSON Parse error: The document is empty. at offset: {len(body)}")
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode("utf-8", "surrogateescape"))
        raise InvalidArgumentError(f"JSON Parse error: {_message(error)} at offset: {offset}") from None
    except RecursionError:
        raise InvalidArgumentError("JSON Parse error: The document is nested too deeply.") from None
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidArgumentError(f"JSON Parse error: {error}") from None
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {echo(document)} Is not object")
    return document


def _message(error: json.JSONDecodeError) -> str:
    if error.msg.startswith("Expecting ',' delimiter"):
        inside = _innermost(error.doc[: error.pos])
        return (
            "Missing a comma or } after an object member."
            if inside == "{"
            else "Missing a comma or ] after an array element."
        )
    return next((ours for theirs, ours in _MESSAGES.items() if error.msg.startswith(theirs)), error.msg)


def _innermost(text: str) -> str:
    """Returns the bracket that is open at the end of some JSON."""
    open_brackets = []
    in_string = escaped = False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            in_string = True
        elif character in "[{":
            open_brackets.append(character)
        elif character in "]}" and open_brackets:
            open_brackets.pop()
    return open_brackets[-1] if open_brackets else ""


def type_name(value: Any) -> str:
    """Returns RapidJSON's name for a value's type."""
    if value is True or value is False:
        return str(value)
    return _TYPES[type(value)]


def echo(value: Any) -> str:
    """Returns a value as an error message shows it, cut where it is long."""
    try:
        text = json.dumps(value, indent=4)
    except RecursionError:
        text = "..."
    return text if len(text) <= _ECHO_LIMIT else text[:_ECHO_LIMIT] + "..."


def encoded(text: str) -> bytes:
    """Returns a JSON string's bytes, those of the request.

    Raises:
        InvalidArgumentError: It holds half of a surrogate pair.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidArgumentError("JSON Parse error: The surrogate pair in string is invalid.") from None
