"""The states that a version of a model goes through, as GetModelStatus tells them."""

import enum
from dataclasses import dataclass

from serving.errors import ServingError


class State(enum.IntEnum):
    """The numbers of ModelVersionStatus.State."""

    START = 10
    LOADING = 20
    AVAILABLE = 30
    UNLOADING = 40
    END = 50


@dataclass(frozen=True)
class VersionState:
    """Where a version stands.

    Attributes:
        state: Its state.
        error: Why it ended, where something went wrong.
    """

    state: State
    error: ServingError | None = None
