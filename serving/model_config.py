"""Model configurations: the one of a single model, and TensorFlow Serving's checks of any (server_core.cc)."""

import re
from pathlib import Path
from typing import Any

from serving.config_protos import read_text_proto
from serving.errors import InvalidArgumentError
from serving.protos import ModelServerConfig

PLATFORM = "tensorflow"
_URI = re.compile(r"[a-z0-9]+://")
_TENSORFLOW_TYPE = 1  # ModelType.TENSORFLOW, deprecated in favour of the platform


def single_model_config(name: str, base_path: Path) -> Any:
    """Returns the ModelServerConfig of one model, its latest version."""
    config = ModelServerConfig()
    config.model_config_list.config.add(name=name, base_path=str(Path(base_path).absolute()), model_platform=PLATFORM)
    return config


def read_model_config(path: Path) -> Any:
    """Reads a ModelServerConfig text file.

    Raises:
        InvalidArgumentError: It is no such file; gives line and column.
        OSError: It cannot be read.
    """
    return read_text_proto(path, ModelServerConfig())


def check_model_configs(configs: Any, former: Any = ()) -> None:
    """Checks the models of a ModelConfigList, and that none that was there changes its platform.

    Args:
        configs: The ModelConfigs.
        former: Those that they take the place of.

    Raises:
        InvalidArgumentError: In TensorFlow Serving's words.
    """
    names: set[str] = set()
    for config in configs:
        if config.name in names:
            raise InvalidArgumentError(f"Illegal to list model {config.name} multiple times in config list")
        names.add(config.name)
    for config in configs:
        if not (config.base_path.startswith("/") or _URI.match(config.base_path)):
            raise InvalidArgumentError(
                f"Expected model {config.name} to have an absolute path or URI; got base_path()={config.base_path}"
            )
    platforms = {config.name: _platform(config) for config in former}
    for config in configs:
        platform = _platform(config)
        if config.name in platforms and platforms[config.name] != platform:
            raise InvalidArgumentError(
                f"Illegal to change a model's platform. For model {config.name} platform was "
                f"{platforms[config.name]} and new platform requested is {platform}"
            )
    for config in configs:
        if _platform(config) != PLATFORM:
            raise InvalidArgumentError(f"Model {config.name} requests unsupported platform {_platform(config)}")
        if _URI.match(config.base_path):
            raise InvalidArgumentError(
                f"Model {config.name}: only directories of this machine are served here; "
                f"got base_path()={config.base_path}"
            )


def _platform(config: Any) -> str:
    platform: str = config.model_platform
    if config.model_type:
        if platform:
            raise InvalidArgumentError(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
            )
        if config.model_type != _TENSORFLOW_TYPE:
            raise InvalidArgumentError(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
        return PLATFORM
    if not platform:
        raise InvalidArgumentError(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."
        )
    return platform
