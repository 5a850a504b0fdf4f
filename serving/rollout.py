r"""Rolls versions out and back by labels: changes a model config file and tells running servers.

A version is served under a label ("stable", "canary") once it is loaded; clients that ask by label move when the label
does. The file is changed, so that a server that starts later agrees, and HandleReloadConfigRequest is sent, so that one
that runs changes at once. Works with TensorFlow Serving and with the embedded server; needs no TensorFlow.

Examples:
  python -m serving.rollout --config models.config --model crocodile --label canary=1700000200 --address ranker:8500
  python -m serving.rollout --config models.config --model crocodile --label stable=1700000200 --remove canary \
      --address ranker-0:8500 --address ranker-1:8500
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import text_format

from serving.protos import ModelServerConfig, ModelServiceStub, ReloadConfigRequest

_TIMEOUT_S = 120.0


def with_labels(text: str, model: str, labels: Mapping[str, int], remove: Sequence[str] = ()) -> str:
    """Returns a ModelServerConfig in text format with other labels.

    Args:
        text: The config in text format; its comments at the top are kept.
        model: The model whose labels change.
        labels: Versions by label: these are set, others stay.
        remove: Labels that go.

    Raises:
        ValueError: The text is no ModelServerConfig, or has no such model or label.
    """
    try:
        config = text_format.Parse(text, ModelServerConfig())
    except text_format.ParseError as error:
        raise ValueError(f"not a ModelServerConfig in text format: {error}") from None
    found = {entry.name: entry for entry in config.model_config_list.config}
    if model not in found:
        raise ValueError(f"the config has no model {model!r}; it has: {', '.join(sorted(found)) or 'none'}")
    current = found[model].version_labels
    for label in remove:
        if label not in current:
            raise ValueError(f"model {model} has no label {label!r}; it has: {', '.join(sorted(current)) or 'none'}")
        del current[label]
    for label, version in labels.items():
        current[label] = version
    lines = text.splitlines(keepends=True)
    head = next((at for at, line in enumerate(lines) if not line.startswith("#") and line.strip()), len(lines))
    body: str = text_format.MessageToString(config)
    return "".join(lines[:head]) + body


def reload_config(address: str, text: str, timeout_s: float = _TIMEOUT_S) -> None:
    """Sends a server its whole config.

    Raises:
        ValueError: The server refuses it; it goes on with the config that it had.
    """
    request: Any = ReloadConfigRequest()
    text_format.Parse(text, request.config)
    with grpc.insecure_channel(address) as channel:
        try:
            response = ModelServiceStub(channel).HandleReloadConfigRequest(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise ValueError(f"{address} answered {error.code().name}: {error.details()}") from None
    if response.status.error_code:
        raise ValueError(f"{address} answered {response.status.error_code}: {response.status.error_message}")


def main(argv: Sequence[str] | None = None) -> int:
    """Changes the file once every server has taken the change; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m serving.rollout", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="ModelServerConfig in text format")
    parser.add_argument("--model", default="crocodile", metavar="NAME", help="(%(default)s)")
    parser.add_argument("--label", action="append", default=[], metavar="LABEL=VERSION", help="may be repeated")
    parser.add_argument("--remove", action="append", default=[], metavar="LABEL", help="may be repeated")
    parser.add_argument("--address", action="append", default=[], metavar="HOST:PORT", help="a server; may be repeated")
    args = parser.parse_args(argv)
    try:
        labels = dict(_label(word) for word in args.label)
        text = with_labels(args.config.read_text(encoding="utf-8"), args.model, labels, args.remove)
        for address in args.address:
            reload_config(address, text)
        unfinished = args.config.with_name(f".{args.config.name}.unfinished")
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, args.config)
    except (ValueError, OSError) as error:
        print(f"rollout: {error}", file=sys.stderr)
        return 1
    changes = [f"{label} is version {version}" for label, version in labels.items()]
    print(f"{args.model}: {', '.join(changes + [f'{label} is gone' for label in args.remove]) or 'unchanged'}")
    return 0


def _label(word: str) -> tuple[str, int]:
    label, _, version = word.partition("=")
    if not label or not version.isdigit():
        raise ValueError(f"--label should be LABEL=VERSION, not {word!r}")
    return label, int(version)


if __name__ == "__main__":
    sys.exit(main())
