"""``crocodile score``: the scores of a file's rows, from a server of TensorFlow Serving's protocol."""

import argparse
import os
import sys
from pathlib import Path

_EPILOG = """\
examples:
  crocodile score --address localhost:8500 --input rows.csv --output scores.csv --keys user_id,video_id
  crocodile score --address ranker:8500 --tls --input rows.parquet --output scores.parquet
  crocodile score --address localhost:8500 --input data_tfrecord-00000-of-00001.gz --output scores.csv

The input's columns are the model's raw features; an empty field or a null is a missing value. The output has
the row number (from 0), the columns that --keys names, and the score, in the order of the input. It appears
when all rows are scored: a run that fails leaves an older output as it was.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds the command to the parser of ``crocodile`` and returns its own."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "score",
        help="score a file through a model server",
        description="Score every row of a CSV, Parquet or TFRecord file through a model server (gRPC).",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--address", required=True, metavar="HOST:PORT", help="the model server")
    parser.add_argument("--input", type=Path, required=True, metavar="FILE", help="rows: CSV, Parquet or TFRecord")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="scores: .csv or .parquet")
    parser.add_argument("--model-name", default="crocodile", metavar="NAME", help="name in requests (%(default)s)")
    parser.add_argument(
        "--keys", default="", metavar="A,B", help="input columns to copy to the output, separated by commas"
    )
    parser.add_argument(
        "--input-format",
        choices=("csv", "parquet", "tfrecord"),
        help="where the input's name does not say it",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="score the first N rows only")
    parser.add_argument("--batch-size", type=int, default=512, metavar="N", help="most rows in a request (%(default)s)")
    parser.add_argument(
        "--in-flight", type=int, default=4, metavar="N", help="requests under way at once (%(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="deadline of a request (%(default)s)")
    parser.add_argument(
        "--signature", default="serving_default", metavar="NAME", help="takes tf.Examples (%(default)s)"
    )
    parser.add_argument(
        "--raw-signature",
        default="serving_raw",
        metavar="NAME",
        help="has the raw features' types (%(default)s)",
    )
    parser.add_argument("--output-name", metavar="NAME", help="the signature's output with the score")
    parser.add_argument("--tls", action="store_true", help="speak TLS; the next three options imply it")
    parser.add_argument("--root-certificates", type=Path, metavar="FILE", help="PEM: trust these only")
    parser.add_argument("--client-certificate", type=Path, metavar="FILE", help="PEM: this client's certificate chain")
    parser.add_argument("--client-key", type=Path, metavar="FILE", help="PEM: its private key")
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Scores the file; returns the exit status, 1 if nothing was written."""
    if (args.client_certificate is None) != (args.client_key is None):
        return _failed("--client-certificate and --client-key go together")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    # The messages lie in TensorFlow's package, which takes seconds to import; --help does without.
    from serving.client import PredictClient
    from serving.credentials import ClientTls
    from serving.scoring import ScoringError, ScoringJob, score_file

    job = ScoringJob(
        input=args.input,
        output=args.output,
        input_format=args.input_format,
        keys=tuple(name.strip() for name in args.keys.split(",") if name.strip()),
        raw_signature=args.raw_signature,
        batch_size=args.batch_size,
        in_flight=args.in_flight,
        limit=args.limit,
    )
    try:
        tls = None
        if args.tls or args.root_certificates is not None or args.client_certificate is not None:
            tls = ClientTls(args.root_certificates, args.client_certificate, args.client_key)
        with PredictClient(
            args.address,
            args.model_name,
            signature_name=args.signature,
            output_name=args.output_name,
            timeout_s=args.timeout,
            tls=tls,
        ) as client:
            result = score_file(client, job)
    except (ScoringError, OSError) as error:
        return _failed(str(error))
    speed = result.rows / result.seconds if result.seconds > 0 else 0.0
    print(f"scored {result.rows:,} rows in {result.seconds:.1f} s ({speed:,.0f} rows/s): {args.output}")
    return 0


def _failed(message: str) -> int:
    print(f"crocodile score: {message}", file=sys.stderr)
    return 1
