"""KuaiRand's raw files: the impression log, and the user's and the video's features joined to it."""

from __future__ import annotations

from collections.abc import Sequence

from data.errors import InputError
from data.kuairand_features import STATISTICS
from data.published_files import differences
from data.readers.base import LogReader
from data.readers.column import Column, joined_columns
from data.readers.csv import BLOCK_BYTES, CsvFile
from data.readers.feature_table import FeatureTable
from data.readers.raw_file import RawFile, missing_column
from data.spec import DatasetSpec
from data.storage import DataPath

USER_FEATURES = "user_features_*.csv"
ITEM_FEATURES = "video_features_basic_*.csv"

_LEAK = (
    "this column is only in KuaiRand's statistic file, which counts the whole period, the evaluation days included, "
    "and would leak; count the log's own days before the split with dataset.item_history, or name a file that ends "
    "before them with dataset.files.item_statistics and item_statistics_until"
)


class KuaiRandReader(LogReader):
    """The log `log_standard_*.csv` of any of KuaiRand's versions, with both feature files.

    A column is looked for in the log, then in the user's and then in the video's features. A user or a video
    without a row in its feature file gets nulls.
    """

    # Not log_random_*.csv: its videos were shown at random, which is another distribution of impressions.
    log_patterns = ("log_standard_*.csv",)
    block_size = BLOCK_BYTES

    def __init__(self, spec: DatasetSpec, data_dir: DataPath, block_size: int | None = None) -> None:
        """See LogReader; also finds the feature files."""
        super().__init__(spec, data_dir, block_size)
        self._user_features = self._one_file(spec.files.user_features or USER_FEATURES)
        self._item_features = self._one_file(spec.files.item_features or ITEM_FEATURES)
        # Read only where the spec says that it counts no day of the split: the published file counts them all.
        statistics = spec.files.item_statistics
        self._item_statistics = () if statistics is None else (self._one_file(statistics),)

    def files(self) -> tuple[DataPath, ...]:
        """The log files, then the user's and the video's features."""
        return (*self.log_files, self._user_features, self._item_features, *self._item_statistics)

    def notes(self) -> tuple[str, ...]:
        """See LogReader; says how files with the names of the published ones differ from these."""
        return differences(self.files())

    def _open(self, path: DataPath) -> RawFile:
        return CsvFile(path, self._block_size)

    def _tables(self, columns: Sequence[Column], logs: Sequence[RawFile]) -> tuple[FeatureTable, ...]:
        roles = self.spec.roles
        keys = {column.name: column for column in joined_columns(self.spec)}
        features = [
            (self._open(self._user_features), keys[roles.user]),
            (self._open(self._item_features), keys[roles.item]),
            *((self._open(path), keys[roles.item]) for path in self._item_statistics),
        ]
        in_log = [roles.user, roles.item, roles.domain, roles.label, roles.time.column]
        in_log += [column.name for column in columns if any(column.name in log.header for log in logs)]
        for log in logs:
            for name in in_log:
                if name not in log.header:
                    raise missing_column(name, [log])
        looked_up = [column for column in columns if column.name not in in_log]
        for column in looked_up:
            if not any(column.name in file.header for file, _ in features):
                if column.name in STATISTICS:
                    raise InputError(_LEAK, column=column.name)
                raise missing_column(column.name, [*logs[:1], *(file for file, _ in features)])
        tables = []
        for file, key in features:
            if key.name not in file.header:
                raise missing_column(key.name, [file])
            own = [column for column in looked_up if column.name in file.header]
            looked_up = [column for column in looked_up if column not in own]
            if own:
                tables.append(FeatureTable(file, key, own))
        return tuple(tables)

    def _one_file(self, pattern: str) -> DataPath:
        paths = self._matches([pattern])
        if len(paths) > 1:
            names = ", ".join(path.name for path in paths)
            raise InputError(f"found {len(paths)} files {pattern} in {self.root} ({names}), expected one")
        return paths[0]
