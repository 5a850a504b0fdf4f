"""``crocodile-model-server``: the embedded server with the name, the flags and the defaults of TensorFlow Serving's."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from crocodile.commands.serve import serve
from serving.flags import add_flags

_PROGRAM = "crocodile-model-server"
_EPILOG = """\
examples:
  crocodile-model-server --port=8500 --rest_api_port=8501 --model_name=ctr --model_base_path=/models/ctr
  crocodile-model-server --model_config_file=/models/models.config --monitoring_config_file=/models/monitoring.config

It takes tensorflow_model_server's flags; those it does not know are reported and ignored, as there. It listens on this
machine only, unless --host says otherwise.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Serves until a signal stops it; returns the exit status."""
    # Before TensorFlow is imported.
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    parser = argparse.ArgumentParser(
        prog=_PROGRAM,
        usage="%(prog)s [--flag=value ...]",
        description="Serve SavedModels over gRPC and REST, as tensorflow_model_server does.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_flags(parser)
    flags, unknown = parser.parse_known_args(argv)
    return serve(flags, unknown, _PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
