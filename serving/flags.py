"""TensorFlow Serving's command-line flags, and ours beside them: one table, from which the parser is built.

Names are written with underscores, as in TensorFlow Serving, or with dashes. ``--flag=value`` and ``--flag value`` are
the same, and ``--flag`` alone switches a boolean on.
"""

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


def boolean(text: str) -> bool:
    """Parses a boolean flag's value.

    Raises:
        argparse.ArgumentTypeError: It is neither true nor false.
    """
    values = {"true": True, "1": True, "false": False, "0": False}
    if text.lower() not in values:
        raise argparse.ArgumentTypeError(f"expected true or false, not {text!r}")
    return values[text.lower()]


@dataclass(frozen=True)
class Flag:
    """One flag.

    Attributes:
        name: With underscores.
        kind: Parses its value.
        default: Its value where it is not given.
        help: What it does.
        ours: Whether TensorFlow Serving does not have it.
        ignored: Whether it is taken and has no effect here.
        aliases: Other names.
    """

    name: str
    kind: Callable[[str], Any]
    default: Any
    help: str
    ours: bool = False
    ignored: bool = False
    aliases: Sequence[str] = ()

    def spellings(self) -> list[str]:
        """Returns the option strings."""
        names = [self.name, *self.aliases]
        return list(dict.fromkeys(f"--{spelt}" for name in names for spelt in (name.replace("_", "-"), name)))


_CPUS = os.cpu_count() or 1

FLAGS: tuple[Flag, ...] = (
    Flag("port", int, 8500, "gRPC port; 0 takes a free one, -1 opens none"),
    Flag("grpc_socket_path", str, "", "Unix socket for gRPC, besides the port"),
    Flag("rest_api_port", int, 0, "REST port; 0 opens none, -1 takes a free one"),
    Flag("rest_api_num_threads", int, 4 * _CPUS, "REST requests that are worked on at once"),
    Flag("rest_api_timeout_in_ms", int, 30000, "longest time of a REST request"),
    Flag("rest_api_enable_cors_support", boolean, False, "lets pages of other origins ask over REST"),
    Flag("model_name", str, "default", "name in requests"),
    Flag("model_base_path", str, "", "directory of numbered version directories"),
    Flag("model_config_file", str, "", "ModelServerConfig in text format: several models, version policies, labels"),
    Flag("model_config_file_poll_wait_seconds", int, 0, "how often that file is looked at; 0 only at the start"),
    Flag("file_system_poll_wait_seconds", float, 1.0, "how often to look for versions; 0 or less only at the start"),
    Flag("max_num_load_retries", int, 5, "attempts, after the first, to load a version"),
    Flag("load_retry_interval_micros", int, 60_000_000, "time between two of them"),
    Flag("enable_batching", boolean, False, "merges requests of several callers into one run"),
    Flag("batching_parameters_file", str, "", "BatchingParameters in text format"),
    Flag("enable_per_model_batching_parameters", boolean, False, "reads batching_params.pbtxt of each version"),
    Flag("allow_version_labels_for_unavailable_models", boolean, False, "takes new labels of versions not loaded yet"),
    Flag("enable_model_warmup", boolean, True, "runs a version's warm-up requests before it is served"),
    Flag("num_request_iterations_for_warmup", int, 1, "how often each of them is run"),
    Flag("monitoring_config_file", str, "", "MonitoringConfig in text format: Prometheus metrics on the REST port"),
    Flag("ssl_config_file", str, "", "SSLConfig in text format: TLS for gRPC"),
    Flag("grpc_channel_arguments", str, "", "gRPC settings: key=value,key=value"),
    Flag("grpc_max_threads", int, max(64, 4 * _CPUS), "gRPC requests that are worked on at once"),
    Flag("enable_grpc_healthcheck_service", boolean, False, "answers grpc.health.v1"),
    Flag("enforce_session_run_timeout", boolean, True, "ends a run at the client's deadline"),
    Flag("saved_model_tags", str, "serve", "tags of the graph in a SavedModel, comma separated"),
    Flag("tensorflow_session_parallelism", int, 0, "threads of TensorFlow; 0 for as many as there are CPUs"),
    Flag("tensorflow_intra_op_parallelism", int, 0, "threads within an op"),
    Flag("tensorflow_inter_op_parallelism", int, 0, "threads between ops"),
    Flag("version", boolean, False, "prints the versions and ends"),
    Flag("host", str, "127.0.0.1", "address to listen at: this machine only, unless changed", ours=True,
         aliases=("grpc_host",)),
    Flag("wait_for_models", boolean, True, "waits for versions where there are none, instead of ending", ours=True),
    Flag("max_message_mib", int, 64, "longest request and response in MiB", ours=True),
    Flag("max_concurrent_requests", int, 4096, "open requests, over gRPC and over REST; more are refused", ours=True),
    Flag("enable_grpc_reflection", boolean, True, "lets gRPC clients ask for the protocol's definition", ours=True),
    Flag("grace_seconds", float, 10.0, "how long requests in flight may take when the server stops", ours=True),
    Flag("log_format", str, "text", "text, or json: one object a line", ours=True),
    Flag("log_requests", boolean, False, "one log line for each request", ours=True),
    Flag("ssl_certificate", str, "", "PEM certificate chain: TLS for gRPC", ours=True),
    Flag("ssl_key", str, "", "PEM private key of the certificate", ours=True),
    Flag("ssl_client_ca", str, "", "PEM certificates: clients must have one signed by these", ours=True),
    Flag("thread_pool_factory_config_file", str, "", "", ignored=True),
    Flag("enable_signature_method_name_check", boolean, False, "", ignored=True),
    Flag("flush_filesystem_caches", boolean, True, "", ignored=True),
    Flag("per_process_gpu_memory_fraction", float, 0.0, "", ignored=True),
    Flag("platform_config_file", str, "", "", ignored=True),
    Flag("enable_profiler", boolean, True, "", ignored=True),
    Flag("remove_unused_fields_from_bundle_metagraph", boolean, True, "", ignored=True),
    Flag("prefer_tflite_model", boolean, False, "", ignored=True),
    Flag("num_load_threads", int, 1, "", ignored=True),
    Flag("num_unload_threads", int, 1, "", ignored=True),
    Flag("xla_cpu_compilation_enabled", boolean, False, "", ignored=True),
)  # fmt: skip


def add_flags(parser: argparse.ArgumentParser, **defaults: Any) -> None:
    """Adds all flags to a parser.

    Args:
        parser: Where they go.
        defaults: Other defaults than those of the table, by name.
    """
    theirs = parser.add_argument_group("flags of TensorFlow Serving")
    ours = parser.add_argument_group("more flags")
    ignored = [flag.name for flag in FLAGS if flag.ignored]
    parser.add_argument_group("taken and ignored", ", ".join(f"--{name}" for name in ignored))
    for flag in FLAGS:
        default = defaults.get(flag.name, flag.default)
        settings: dict[str, Any] = {"nargs": "?", "const": True} if flag.kind is boolean else {}
        (ours if flag.ours else theirs).add_argument(
            *flag.spellings(),
            dest=flag.name,
            type=flag.kind,
            default=default,
            metavar="BOOL" if flag.kind is boolean else "S" if flag.kind is float else "N" if flag.kind is int else "X",
            help=argparse.SUPPRESS if flag.ignored else f"{flag.help} ({default})" if default != "" else flag.help,
            **settings,
        )


def ignored_flags(values: argparse.Namespace) -> list[str]:
    """Returns the names of the given flags that have no effect here."""
    return [flag.name for flag in FLAGS if flag.ignored and getattr(values, flag.name) != flag.default]


def path_or_none(text: str) -> Path | None:
    """Returns a flag's path, None where it is empty."""
    return Path(text) if text else None


def check_ranges(flags: argparse.Namespace) -> str | None:
    """Returns what is wrong with a number or a choice, None if nothing is; reads no file."""
    for name, low, high in (
        ("port", -1, 65535),
        ("rest_api_port", -1, 65535),
        ("max_message_mib", 1, 2047),
        ("rest_api_num_threads", 1, 10_000),
        ("grpc_max_threads", 1, 10_000),
        ("max_concurrent_requests", 1, 10**9),
        ("max_num_load_retries", 0, 10**9),
        ("load_retry_interval_micros", 0, 10**15),
    ):
        value = getattr(flags, name)
        if not low <= value <= high:
            return f"--{name.replace('_', '-')} should be {low} to {high}, not {value}"
    if flags.log_format not in ("text", "json"):
        return f"--log-format should be text or json, not {flags.log_format}"
    if bool(flags.ssl_certificate) != bool(flags.ssl_key):
        return "--ssl-certificate and --ssl-key go together"
    if flags.ssl_client_ca and not flags.ssl_certificate:
        return "--ssl-client-ca needs --ssl-certificate and --ssl-key"
    if flags.ssl_certificate and flags.ssl_config_file:
        return "--ssl-config-file and --ssl-certificate exclude each other"
    return None
