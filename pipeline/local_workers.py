"""How many processes of one machine a component may use, as an option of its Beam pipeline."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from data.worker_pool import available_cores


class LocalWorkerOptions(PipelineOptions):
    """The option `--local_workers`.

    Not a component's execution property: outputs do not depend on it, so that it must not be part of TFX's cache key.
    """

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--local_workers", type=int, default=None, help="processes a component may use")


def local_workers(beam_pipeline_args: Sequence[str]) -> int:
    """Processes that a component may use; where no option says so, one for each core there is."""
    return PipelineOptions(list(beam_pipeline_args)).view_as(LocalWorkerOptions).local_workers or available_cores()
