"""Where the newest examples of a run's output folder lie, and a fingerprint of what trainings on them depend on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data.fingerprint import fingerprint


@dataclass(frozen=True)
class RunExamples:
    """The newest rows in the output folder of a run of `crocodile run` or `crocodile compare`.

    Attributes:
      raw: Examples as LogExampleGen wrote them, with a folder a split.
      transformed: Transformed examples of the training and the validation rows.
      transform: Transform's graph.
    """

    raw: Path
    transformed: Path
    transform: Path

    @classmethod
    def below(cls, output: Path) -> RunExamples:
        """Finds the examples.

        Args:
          output: The folder of the run.

        Raises:
          FileNotFoundError: There are none.
        """
        return cls(
            raw=_newest(output / "pipeline/LogExampleGen/examples"),
            transformed=_newest(output / "pipeline/Transform/transformed_examples"),
            transform=_newest(output / "pipeline/Transform/transform_graph"),
        )

    def fingerprint(self) -> str:
        """A hash of training, validation and test rows and of the vocabularies, wherever they lie.

        See `data.fingerprint.fingerprint` for what counts of large files.
        """
        folders = (self.transformed, self.raw / "Split-test", self.transform / "transform_fn/assets")
        return "-".join(
            fingerprint((file for file in folder.rglob("*") if file.is_file()), folder)[:16] for folder in folders
        )


def _newest(folder: Path) -> Path:
    versions = sorted((child for child in folder.glob("*") if child.name.isdigit()), key=lambda child: int(child.name))
    if not versions:
        raise FileNotFoundError(f"{folder}: nothing here; expected the output folder of a finished `crocodile run`")
    return versions[-1]
