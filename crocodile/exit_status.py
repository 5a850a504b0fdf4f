"""What becomes of a command's errors: a line on standard error, and the exit status."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable

from crocodile.folder_lock import FolderInUse
from data.errors import InputError
from pipeline.config_file import ConfigError

_REFUSALS: tuple[type[Exception], ...] = (ConfigError, InputError, FolderInUse, FileNotFoundError)


def exit_status(work: Callable[[], int], *refusals: type[Exception]) -> int:
    """Does a command's work.

    Args:
      work: Returns the exit status.
      refusals: Errors that say what is wrong with the input, besides those of configs, logs and folders.

    Returns:
      Its status; 2 where config, log or options are wrong, which the error's own line says; 1 after any other error,
      with its traceback.
    """
    caught = _REFUSALS + refusals
    try:
        return work()
    except caught as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        traceback.print_exc()
        print(f"error: {error}", file=sys.stderr)
        return 1
