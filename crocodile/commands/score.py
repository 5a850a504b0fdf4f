"""``crocodile score``: the scores of a file's rows, from a model server or from a model in this process."""

import argparse
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

_EPILOG = """\
examples:
  crocodile score --address localhost:8500 --input rows.csv --output scores.csv --keys user_id,video_id
  crocodile score --address ranker:8500 --tls --input rows.parquet --output scores.parquet
  crocodile score --model output/demo/serving_model/crocodile --input rows.parquet --output scores.parquet
  crocodile score --model output/demo/serving_model/crocodile --input 'log/*.parquet' --output predictions \\
      --beam-args=--runner=FlinkRunner --beam-args=--flink_master=flink:8081

The input's columns are the model's raw features; an empty field or a null is a missing value. The output has
the row number (from 0), the columns that --keys names, and the score, in the order of the input. It appears
when all rows are scored: a run that fails leaves an older output as it was. A run that was ended, in whatever
way, is gone on with by the same command. Rows that fail are written to FAILED with the reason.

With --beam-args, many files are scored by a Beam pipeline, for logs that outgrow one machine: --input is a pattern,
--output a folder for TFRecords of PredictionLog, as TFX's BulkInferrer writes them.

exit status: 0 every row was scored, 1 nothing was written, 4 some rows failed.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Adds the command to the parser of ``crocodile`` and returns its own."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "score",
        help="score a file through a model server, or without one",
        description="Score every row of a CSV, Parquet or TFRecord file, through a model server (gRPC) or without one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--address", metavar="HOST:PORT", help="the model server")
    model.add_argument(
        "--model", type=Path, metavar="DIR", help="without a server: a version's folder, or the base path of versions"
    )
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
    parser.add_argument(
        "--failed", type=Path, metavar="FILE", help="CSV for the rows that fail (default: OUTPUT with .failed.csv)"
    )
    parser.add_argument(
        "--max-failed", type=int, default=1000, metavar="N", help="give up when more rows fail (%(default)s)"
    )
    parser.add_argument("--restart", action="store_true", help="begin anew, whatever an earlier run has done")
    parser.add_argument("--batch-size", type=int, default=512, metavar="N", help="most rows in a request (%(default)s)")
    parser.add_argument(
        "--in-flight", type=int, default=8, metavar="N", help="requests under way at once (%(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=30.0, metavar="S", help="deadline of a request (%(default)s)")
    parser.add_argument("--version", type=int, metavar="N", help="the version to ask (the latest)")
    parser.add_argument("--version-label", metavar="LABEL", help="the version's label, such as canary")
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
    parser.add_argument(
        "--beam-args",
        action="append",
        metavar="ARG",
        help="with --model: score with a Beam pipeline of these options (--beam-args=--runner=…); may be repeated",
    )
    parser.set_defaults(run=run)
    return parser


def run(args: argparse.Namespace) -> int:
    """Scores the file; returns the exit status."""
    if (args.client_certificate is None) != (args.client_key is None):
        return _failed("--client-certificate and --client-key go together")
    if args.version is not None and args.version_label is not None:
        return _failed("--version and --version-label exclude each other")
    if args.beam_args is not None:
        return _run_beam(args)
    # Arrow and gRPC, and TensorFlow for --model, take their time to import; --help does without.
    from serving.errors import ServableLoadError
    from serving.scoring import score_file
    from serving.scoring_job import ScoringError, ScoringJob

    job = ScoringJob(
        input=args.input,
        output=args.output,
        input_format=args.input_format,
        keys=tuple(name.strip() for name in args.keys.split(",") if name.strip()),
        batch_size=args.batch_size,
        in_flight=args.in_flight,
        limit=args.limit,
        failed=args.failed,
        max_failed=args.max_failed,
        restart=args.restart,
    )
    try:
        with _scorer(args) as scorer:
            result = score_file(scorer, job)
    except (ScoringError, ServableLoadError, OSError, ValueError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        return _failed("ended; the same command goes on from here")
    rows = result.rows + result.failed - result.resumed_at
    speed = rows / result.seconds if result.seconds > 0 else 0.0
    before = f" ({result.resumed_at:,} by an earlier run)" if result.resumed_at else ""
    print(f"scored {result.rows:,} rows{before} in {result.seconds:.1f} s ({speed:,.0f} rows/s): {args.output}")
    if result.failed:
        print(f"crocodile score: {result.failed:,} rows failed: {result.failed_path}", file=sys.stderr)
        return 4
    return 0


def _scorer(args: argparse.Namespace) -> AbstractContextManager[Any]:
    names = {"signature_name": args.signature, "raw_signature": args.raw_signature, "output_name": args.output_name}
    if args.model is not None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
        from serving.local_model import LocalModel

        return LocalModel(args.model, **names)
    from serving.client import PredictClient
    from serving.credentials import ClientTls

    tls = None
    if args.tls or args.root_certificates is not None or args.client_certificate is not None:
        tls = ClientTls(args.root_certificates, args.client_certificate, args.client_key)
    return PredictClient(
        args.address,
        args.model_name,
        version=args.version,
        version_label=args.version_label,
        timeout_s=args.timeout,
        tls=tls,
        **names,
    )


def _run_beam(args: argparse.Namespace) -> int:
    if args.model is None:
        return _failed("--beam-args needs --model: a Beam pipeline loads the model itself")
    from pipeline.bulk_inference import BulkInferenceError, infer

    try:
        files = infer(
            str(args.input),
            args.model,
            args.output,
            beam_args=args.beam_args,
            input_format=args.input_format,
            signature_name=args.signature,
            raw_signature=args.raw_signature,
        )
    except (BulkInferenceError, OSError, ValueError) as error:
        return _failed(str(error))
    print(f"scored {len(files):,} files: {args.output}")
    return 0


def _failed(message: str) -> int:
    print(f"crocodile score: {message}", file=sys.stderr)
    return 1
