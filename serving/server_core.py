"""The models of a server: which there are, what a request's ModelSpec names, and how the configuration changes.

TensorFlow Serving's ServerCore. A configuration replaces the one before as a whole: what it does not list is unloaded.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ServableLoadError,
    ServingError,
)
from serving.model_config import check_model_configs
from serving.protos import ModelServerConfig
from serving.servable import Servable
from serving.served_model import LoadRetries, ServedModel
from serving.version_state import State, VersionState

logger = logging.getLogger(__name__)

Labels = dict[str, dict[str, int]]


class ServerCore:
    """Holds the served models by name, and their labels.

    Args:
        load: Loads a version directory.
        poll_wait_seconds: How often to look for versions; 0 or less looks once for each configuration.
        retries: What is done about a version that fails to load.
        wait_for_models: At the start, waits for versions to appear instead of failing where there are none.
        allow_labels_for_unavailable: Takes a new label of a version that is not (yet) loaded.
    """

    def __init__(
        self,
        load: Callable[[Path, int], Servable],
        *,
        poll_wait_seconds: float = 1.0,
        retries: LoadRetries | None = None,
        wait_for_models: bool = False,
        allow_labels_for_unavailable: bool = False,
    ) -> None:
        self._load = load
        self._poll_wait_seconds = poll_wait_seconds
        self._retries = retries
        self._wait_for_models = wait_for_models
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._models: dict[str, ServedModel] = {}
        self._labels: Labels = {}
        self._config = ModelServerConfig()
        # What was unloaded with its model: GetModelStatus still tells of it.
        self._removed: dict[str, dict[int, VersionState]] = {}
        self._reloading = threading.Lock()
        self._stopping = False

    def start(self, config: Any) -> None:
        """Loads the models of the first configuration.

        Args:
            config: A ModelServerConfig.

        Raises:
            ServingError: The configuration is wrong.
            ServableLoadError: There is a model without a version to serve.
        """
        with self._reloading:
            self._check(config)
            labels = self._checked_labels(config)
            for model_config in config.model_config_list.config:
                model = self._models[model_config.name] = self._model(model_config)
                model.start(wait=self._wait_for_models)
            self._config, self._labels = config, labels

    def reload(self, config: Any) -> None:
        """Replaces the configuration, and waits for its new models.

        Args:
            config: A ModelServerConfig.

        Raises:
            ServingError: It is refused, and nothing has changed; or (UNKNOWN) it holds, and new models of it could not
                be loaded.
        """
        with self._reloading:
            if self._stopping:
                raise FailedPreconditionError("The server is stopping")
            if config.WhichOneof("config") is None:
                logger.info("Taking no action for empty config.")
                return
            if config.WhichOneof("config") != "model_config_list":
                raise FailedPreconditionError(
                    "Cannot transition to requested config. It is only legal to transition from one ModelConfigList "
                    "to another."
                )
            self._check(config)
            labels = self._checked_labels(config)
            self._config, self._labels = config, labels
            logger.info("Adding/updating models.")
            self._replace(config.model_config_list.config)

    def stop(self) -> None:
        """Unloads all models, each version after its last request; takes no configuration any more."""
        # A model whose start waits for a version must learn of it first.
        self._stopping = True
        for model in list(self._models.values()):
            model.stop()
        with self._reloading:
            for model in self._models.values():
                model.stop()

    def versions(self, name: str) -> list[int]:
        """Returns the loaded versions of a model, ascending."""
        model = self._models.get(name)
        return model.versions() if model else []

    def model_names(self) -> list[str]:
        """Returns the names of the configured models."""
        return sorted(self._models)

    def has(self, name: str) -> bool:
        """Returns whether a model of this name is configured."""
        return name in self._models

    @contextmanager
    def servable(self, spec: Any) -> Iterator[Servable]:
        """Yields what a ModelSpec names; it stays loaded while the block runs.

        Raises:
            ServingError: It names nothing that is loaded.
        """
        if not spec.name:
            raise InvalidArgumentError("ModelSpec has no name specified.")
        choice = spec.WhichOneof("version_choice")
        version: int | None = None
        if choice == "version_label":
            # The label is looked up before the model is.
            version = self._labels.get(spec.name, {}).get(spec.version_label)
            if version is None:
                raise InvalidArgumentError(f"Unrecognized servable version label: {spec.version_label}")
        elif choice == "version":
            version = spec.version.value
        model = self._models.get(spec.name)
        if model is None:
            asked = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, {version})"
            raise NotFoundError(f"Servable not found for request: {asked}")
        with model.lease(version) as servable:
            yield servable

    def states(self, name: str) -> dict[int, VersionState]:
        """Returns the states of all versions of a model that there are or were, in descending order."""
        states = dict(self._removed.get(name, {}))
        model = self._models.get(name)
        states.update(model.states() if model else {})
        return dict(sorted(states.items(), reverse=True))

    def _check(self, config: Any) -> None:
        if config.WhichOneof("config") == "custom_model_config":
            raise InvalidArgumentError("ModelServer does not yet support custom model config.")
        check_model_configs(config.model_config_list.config, self._config.model_config_list.config)

    def _checked_labels(self, config: Any) -> Labels:
        """Returns the labels that hold from now on; refuses those of versions that are not available."""
        labels: Labels = {}
        for model_config in config.model_config_list.config:
            name = model_config.name
            available = self.versions(name)
            for label, version in sorted(model_config.version_labels.items()):
                moved = self._labels.get(name, {}).get(label, version) != version
                if version not in available and (moved or not self._allow_labels_for_unavailable):
                    raise FailedPreconditionError(
                        f"Request to assign label to version {version} of model {name}, which is not currently "
                        "available for inference"
                    )
                labels.setdefault(name, {})[label] = version
        return labels

    def _replace(self, configs: Any) -> None:
        wanted = {config.name for config in configs}
        for name in self._models.keys() - wanted:
            model = self._models.pop(name)
            model.stop()
            self._removed.setdefault(name, {}).update(model.states())
        new = []
        for config in configs:
            if config.name in self._models:
                self._models[config.name].update(Path(config.base_path), _policy(config))
            else:
                new.append(self._models.setdefault(config.name, self._model(config)))
        failed = [text for model in new if (text := self._start_new(model))]
        if failed:
            raise ServingError(f"{len(failed)} model(s) did not become available: {{{''.join(failed)}}}")

    def _start_new(self, model: ServedModel) -> str:
        """Starts a model; returns TensorFlow Serving's words for what went wrong, empty if nothing did."""
        try:
            model.start()
        except ServableLoadError as error:
            model.watch()
            failed = {v: s for v, s in model.states().items() if s.state is State.END and s.error}
            if not failed:
                return f"{{{{name: {model.name}}} due to error: NOT_FOUND: {error}}}, "
            version, state = next(iter(failed.items()))
            assert state.error is not None
            return (
                f"{{{{name: {model.name} version: {version}}} due to error: {state.error.code.name}: "
                f"{state.error.message}}}, "
            )
        return ""

    def _model(self, config: Any) -> ServedModel:
        return ServedModel(
            config.name,
            Path(config.base_path),
            _policy(config),
            poll_wait_seconds=self._poll_wait_seconds,
            load=self._load,
            retries=self._retries,
        )


def _policy(config: Any) -> Any:
    return config.model_version_policy if config.HasField("model_version_policy") else None
