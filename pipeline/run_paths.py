"""Where a run's results lie."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.settings import RunConfig


@dataclass(frozen=True)
class RunPaths:
    """Everything a run writes lies below one folder; see docs/architecture.md."""

    root: Path
    model_name: str

    @classmethod
    def below(cls, root: Path, config: RunConfig) -> RunPaths:
        """The paths of a run below a folder, which need not exist yet."""
        return cls(root.resolve(), config.serving.model_name)

    @property
    def pipeline_root(self) -> Path:
        """TFX artifacts."""
        return self.root / "pipeline"

    @property
    def metadata_path(self) -> Path:
        """ML Metadata, a SQLite file."""
        return self.root / "metadata.sqlite"

    @property
    def serving_model_dir(self) -> Path:
        """Base path of the pushed versions."""
        return self.root / "serving_model" / self.model_name

    @property
    def checkpoint_dir(self) -> Path:
        """Checkpoints of a training under way."""
        return self.root / "checkpoints"

    @property
    def metrics_path(self) -> Path:
        """Overall and per-domain metrics of the candidate model."""
        return self.root / "metrics.json"

    @property
    def report_path(self) -> Path:
        """The report to look at: blessing, reasons, metrics, comparison."""
        return self.root / "report.html"

    @property
    def run_path(self) -> Path:
        """Config, seed, versions and component times of the run."""
        return self.root / "run.json"

    @property
    def scores_path(self) -> Path:
        """Rows scored over gRPC at the end of the run."""
        return self.root / "scores.csv"

    @property
    def log_path(self) -> Path:
        """The full log of TFX, Beam and TensorFlow."""
        return self.root / "run.log"
