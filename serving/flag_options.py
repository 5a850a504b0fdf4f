"""From the flags of a command line to a server's options; says which flag is wrong, and how."""

import argparse
from pathlib import Path

from serving.batching_parameters import BatchingParameters, read_batching_parameters
from serving.config_protos import MonitoringConfig, SSLConfig, read_text_proto
from serving.credentials import ServerTls, SslConfigTls
from serving.errors import InvalidArgumentError
from serving.flags import path_or_none
from serving.loader import LoaderOptions
from serving.metrics import DEFAULT_PATH
from serving.served_model import LoadRetries
from serving.server import ServerOptions


def server_options(flags: argparse.Namespace) -> ServerOptions:
    """Returns the options that some flags ask for.

    Args:
        flags: All of ``serving.flags``, by name.

    Raises:
        InvalidArgumentError: A file that a flag names is wrong, or two flags contradict each other.
        OSError: Such a file cannot be read.
    """
    if not flags.model_base_path and not flags.model_config_file:
        raise InvalidArgumentError(
            "Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    if flags.port < 0 and not flags.grpc_socket_path:
        raise InvalidArgumentError(
            "At least one of server_options.grpc_port or server_options.grpc_socket_path must be set."
        )
    if flags.rest_api_port > 0 and flags.rest_api_port == flags.port:
        raise InvalidArgumentError("server_options.http_port cannot be same as grpc_port.")
    return ServerOptions(
        model_base_path=path_or_none(flags.model_base_path),
        model_name=flags.model_name,
        host=flags.host,
        port=None if flags.port < 0 else flags.port,
        grpc_socket_path=path_or_none(flags.grpc_socket_path),
        rest_port=None if flags.rest_api_port == 0 else max(0, flags.rest_api_port),
        rest_threads=flags.rest_api_num_threads,
        rest_timeout_s=flags.rest_api_timeout_in_ms / 1000 if flags.rest_api_timeout_in_ms > 0 else None,
        rest_cors=flags.rest_api_enable_cors_support,
        metrics_path=_metrics_path(flags),
        model_config_file=path_or_none(flags.model_config_file),
        model_config_file_poll_wait_seconds=flags.model_config_file_poll_wait_seconds,
        file_system_poll_wait_seconds=flags.file_system_poll_wait_seconds,
        retries=LoadRetries(flags.max_num_load_retries, flags.load_retry_interval_micros / 1e6),
        wait_for_models=flags.wait_for_models,
        allow_labels_for_unavailable=flags.allow_version_labels_for_unavailable_models,
        loading=LoaderOptions(
            tags=flags.saved_model_tags.split(","),
            parallelism=_parallelism(flags),
            batching=_batching(flags),
            per_model_batching=flags.enable_per_model_batching_parameters,
            warmup=flags.enable_model_warmup,
            warmup_iterations=max(1, flags.num_request_iterations_for_warmup),
        ),
        max_message_bytes=flags.max_message_mib * 2**20,
        threads=flags.grpc_max_threads,
        max_requests=flags.max_concurrent_requests,
        enforce_timeout=flags.enforce_session_run_timeout,
        tls=_tls(flags),
        health=flags.enable_grpc_healthcheck_service,
        reflection=flags.enable_grpc_reflection,
        channel_arguments=_channel_arguments(flags.grpc_channel_arguments),
    )


def _batching(flags: argparse.Namespace) -> BatchingParameters | None:
    if not flags.enable_batching:
        if flags.batching_parameters_file:
            raise InvalidArgumentError(
                "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
            )
        if flags.enable_per_model_batching_parameters:
            raise InvalidArgumentError(
                "server_options.enable_per_model_batching_parameters is set without setting "
                "server_options.enable_batching to true."
            )
        return None
    if not flags.batching_parameters_file:
        return BatchingParameters()
    return read_batching_parameters(Path(flags.batching_parameters_file))


def _parallelism(flags: argparse.Namespace) -> tuple[int, int]:
    intra, inter, both = (
        flags.tensorflow_intra_op_parallelism,
        flags.tensorflow_inter_op_parallelism,
        flags.tensorflow_session_parallelism,
    )
    if intra > 0 and inter > 0 and both > 0:
        raise InvalidArgumentError(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
    return (intra, inter) if intra > 0 or inter > 0 else (both, both)


def _metrics_path(flags: argparse.Namespace) -> str | None:
    if not flags.monitoring_config_file:
        return None
    config = read_text_proto(Path(flags.monitoring_config_file), MonitoringConfig()).prometheus_config
    return (config.path or DEFAULT_PATH) if config.enable else None


def _tls(flags: argparse.Namespace) -> ServerTls | SslConfigTls | None:
    if flags.ssl_certificate:
        return ServerTls(Path(flags.ssl_certificate), Path(flags.ssl_key), path_or_none(flags.ssl_client_ca))
    if not flags.ssl_config_file:
        return None
    config = read_text_proto(Path(flags.ssl_config_file), SSLConfig())
    return SslConfigTls(config.server_key, config.server_cert, config.custom_ca, config.client_verify)


def _channel_arguments(text: str) -> tuple[tuple[str, int | str], ...]:
    arguments: list[tuple[str, int | str]] = []
    for part in filter(None, text.split(",")):
        key, separator, value = part.partition("=")
        if not separator:
            raise InvalidArgumentError(f"--grpc_channel_arguments: expected key=value, found {part!r}")
        try:
            arguments.append((key, int(value)))
        except ValueError:
            arguments.append((key, value))
    return tuple(arguments)
