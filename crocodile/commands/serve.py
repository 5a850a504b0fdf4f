"""``crocodile serve``: the embedded model server, TensorFlow Serving's protocol and flags."""

import argparse
import logging
import os
import queue
import signal
import sys
from collections.abc import Sequence

from serving.flags import add_flags, check_ranges, ignored_flags

_EPILOG = """\
examples:
  crocodile serve --model-base-path output/demo/serving_model/crocodile
  crocodile serve --model-base-path models/ctr --model-name ctr --port 8500 --rest-api-port 8501
  crocodile serve --model-config-file models.config --model-config-file-poll-wait-seconds 60
  crocodile serve --model-base-path models/ctr --enable-batching --batching-parameters-file batching.config
  crocodile serve --model-base-path models/ctr --ssl-certificate server.crt --ssl-key server.key

The base path holds numbered version directories; the highest one is served, and a higher one that appears
takes its place without a request being lost. SIGTERM or Ctrl-C finishes what is in flight and stops.
crocodile-model-server is the same with TensorFlow Serving's own defaults.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds the command to the parser of ``crocodile`` and returns its own."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="serve a pushed model over gRPC and REST",
        usage="crocodile serve [--flag=value ...]",
        description="Serve SavedModels over gRPC and REST: TensorFlow Serving's protocol and flags.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Where TensorFlow Serving would wait for a model and try for minutes, a person at a terminal wants to be told.
    add_flags(parser, model_name="crocodile", wait_for_models=False, max_num_load_retries=0)
    parser.set_defaults(run=run, takes_unknown=True)
    return parser


def run(args: argparse.Namespace) -> int:
    """Serves until a signal stops it; returns the exit status, 1 if the server could not start."""
    return serve(args, getattr(args, "unknown", ()), "crocodile serve")


def serve(flags: argparse.Namespace, unknown: Sequence[str], program: str) -> int:
    """Serves until a signal stops it.

    Args:
        flags: All of ``serving.flags``, by name.
        unknown: Words that are no flag: reported and ignored, as TensorFlow Serving does.
        program: Its name in messages.

    Returns:
        The exit status, 1 if the server could not start.
    """
    if flags.version:
        print(_versions())
        return 0
    for word in unknown:
        print(f"unknown argument: {word}", flush=True)
    wrong = check_ranges(flags)
    if wrong is not None:
        print(f"{program}: {wrong}", file=sys.stderr)
        return 1
    # TensorFlow's notes on its own start say nothing to who serves a model; its warnings do.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # TensorFlow takes seconds to import; --help and the checks above do without.
    from serving.errors import ServableLoadError, ServingError
    from serving.flag_options import server_options
    from serving.server import ModelServer
    from serving.server_logs import configure_logs

    configure_logs(flags.log_format, requests=flags.log_requests)
    for name in ignored_flags(flags):
        logging.getLogger(__name__).warning("--%s has no effect here", name)
    try:
        server = ModelServer(server_options(flags))
        server.start()
    except ServingError as error:
        return _failed(program, f"{error.code.name}: {error.message}")
    except (ServableLoadError, OSError, ValueError) as error:
        return _failed(program, str(error))
    # A queue may be filled from within a signal handler; an Event's lock may be held by the very thread it
    # interrupts.
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    former = {
        number: signal.signal(number, lambda received, _: signals.put(received))
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    print(server.ready_line(), flush=True)
    received = signals.get()
    # A second signal ends the process at once.
    for number, handler in former.items():
        signal.signal(number, handler)
    print(f"{signal.Signals(received).name}: stopping", flush=True)
    server.stop(flags.grace_seconds)
    return 0


def _versions() -> str:
    from importlib import metadata

    return (
        f"Crocodile ModelServer: {metadata.version('crocodile-recsys')}\n"
        f"TensorFlow Library: {metadata.version('tensorflow')}"
    )


def _failed(program: str, message: str) -> int:
    print(f"{program}: Failed to start server. Error: {message}", file=sys.stderr)
    return 1
