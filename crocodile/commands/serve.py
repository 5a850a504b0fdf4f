"""``crocodile serve``: the embedded model server, TensorFlow Serving's protocol."""

import argparse
import logging
import os
import queue
import signal
import sys
from pathlib import Path

_EPILOG = """\
examples:
  crocodile serve --model-base-path output/demo/serving_model/crocodile
  crocodile serve --model-base-path models/ctr --model-name ctr --port 0
  crocodile serve --model-base-path models/ctr --ssl-certificate server.crt --ssl-key server.key

The base path holds numbered version directories; the highest one is served, and a higher one that appears
takes its place without a request being lost. SIGTERM or Ctrl-C finishes what is in flight and stops.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds the command to the parser of ``crocodile`` and returns its own."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help="serve a pushed model over gRPC",
        description="Serve a SavedModel over gRPC: TensorFlow Serving's PredictionService.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--model-base-path",
        type=Path,
        required=True,
        metavar="DIR",
        help="directory of numbered version directories",
    )
    parser.add_argument("--model-name", default="crocodile", metavar="NAME", help="name in requests (%(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s: this machine only)")
    parser.add_argument("--port", type=int, default=8500, help="gRPC port (%(default)s); 0 takes a free one")
    parser.add_argument(
        "--file-system-poll-wait-seconds",
        type=float,
        default=1.0,
        metavar="S",
        help="how often to look for a new version (%(default)s); 0 looks at the start only",
    )
    parser.add_argument(
        "--max-message-mib",
        type=int,
        default=64,
        metavar="N",
        help="longest request and response in MiB (%(default)s)",
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="how long requests in flight may take when the server stops (%(default)s)",
    )
    parser.add_argument("--ssl-certificate", type=Path, metavar="FILE", help="PEM certificate chain: serve TLS")
    parser.add_argument("--ssl-key", type=Path, metavar="FILE", help="PEM private key of the certificate")
    parser.add_argument(
        "--ssl-client-ca",
        type=Path,
        metavar="FILE",
        help="PEM certificates: clients must have one signed by these",
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Serves until a signal stops it; returns the exit status, 1 if the server could not start."""
    if (args.ssl_certificate is None) != (args.ssl_key is None):
        return _failed("--ssl-certificate and --ssl-key go together")
    if args.ssl_client_ca is not None and args.ssl_certificate is None:
        return _failed("--ssl-client-ca needs --ssl-certificate and --ssl-key")
    if not 0 <= args.port <= 65535:
        return _failed(f"--port should be 0 to 65535, not {args.port}")
    if not 1 <= args.max_message_mib <= 2047:
        return _failed(f"--max-message-mib should be 1 to 2047, not {args.max_message_mib}")
    # TensorFlow's notes on its own start say nothing to who serves a model; its warnings do.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # TensorFlow takes seconds to import; --help and the checks above do without.
    from serving.credentials import ServerTls
    from serving.errors import ServableLoadError
    from serving.server import ModelServer, ServerOptions

    tls = ServerTls(args.ssl_certificate, args.ssl_key, args.ssl_client_ca) if args.ssl_certificate else None
    server = ModelServer(
        ServerOptions(
            model_base_path=args.model_base_path,
            model_name=args.model_name,
            host=args.host,
            port=args.port,
            file_system_poll_wait_seconds=args.file_system_poll_wait_seconds,
            max_message_bytes=args.max_message_mib * 2**20,
            tls=tls,
        )
    )
    try:
        server.start()
    except (ServableLoadError, OSError) as error:
        return _failed(str(error))
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
    server.stop(args.grace_seconds)
    return 0


def _failed(message: str) -> int:
    print(f"crocodile serve: {message}", file=sys.stderr)
    return 1
