"""What a scoring run has done so far, on disk: a run that is killed goes on from there.

Every part is a file that appears whole: scored and failed rows of a stretch of the input, in order. A run goes on
where the last part ends, so no row is scored twice in the output and none is lost.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from serving.scoring_chunk import FailedRow, ScoringChunk

_JOB = "job.json"
_REASON = "failed: reason"
_CONTENT = "failed: content"


class ScoreParts:
    """The parts of one output's unfinished scoring, in a folder beside the output.

    Args:
        output: The file that the scores will lie in.
        schema: Its columns: the row number, the keys, the score.
        job: What the scores depend on; parts of another job are of no use.

    Raises:
        BlockingIOError: Another process is scoring into this output.
    """

    def __init__(self, output: Path, schema: pa.Schema, job: dict[str, Any]) -> None:
        self.folder = output.with_name(f".{output.name}.partial")
        self.discarded = False
        self._schema = pa.schema([*schema, pa.field(_REASON, pa.string()), pa.field(_CONTENT, pa.string())])
        self.folder.mkdir(exist_ok=True)
        self._lock = os.open(self.folder, os.O_RDONLY)
        try:
            # Gone with the process, however it ends.
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise BlockingIOError(f"another process is scoring into {output}") from None
        # The schema too: a part must have the columns that the output is to have.
        wanted = json.dumps(job | {"columns": str(self._schema)}, indent=2, sort_keys=True)
        described = self.folder / _JOB
        if not described.exists() or described.read_text(encoding="utf-8") != wanted:
            self.discarded = bool(self._parts())
            for path in self.folder.iterdir():
                path.unlink()
            self._write_whole(described, wanted.encode())

    @property
    def next_row(self) -> int:
        """The row of the input to go on with."""
        done = 0
        for first, following, _ in self._parts():
            if first == done:
                done = following
        return done

    def write(self, first_row: int, chunk: ScoringChunk, scores: np.ndarray, failed: list[FailedRow]) -> None:
        """Keeps what became of the rows from ``first_row`` to the chunk's end.

        Args:
            first_row: The row of the input that the chunk begins with.
            chunk: The rows.
            scores: float32, NaN for the rows of ``failed`` among the chunk's examples.
            failed: All rows of this stretch that have no score.
        """
        lost = {row.row for row in failed}
        kept = np.array([int(row) not in lost for row in chunk.rows], bool) if lost else np.ones(len(chunk.rows), bool)
        where = pa.array(kept)
        columns = [pa.array(chunk.rows), *(chunk.keys[name] for name in self._schema.names[1:-3])]
        columns = [column.filter(where) for column in columns] + [pa.array(scores[kept], pa.float32())]
        texts = pa.nulls(int(kept.sum()), pa.string())
        scored = pa.RecordBatch.from_arrays([*columns, texts, texts], schema=self._schema)
        sink = pa.BufferOutputStream()
        with pyarrow.ipc.new_file(sink, self._schema) as writer:
            writer.write_batch(scored)
            if failed:
                writer.write_batch(self._failed_batch(failed))
        name = f"{first_row:015d}-{chunk.next_row:015d}.arrow"
        self._write_whole(self.folder / name, sink.getvalue())

    def read(self) -> Iterator[tuple[pa.RecordBatch, list[FailedRow]]]:
        """Yields the parts in order: the scored rows as the output's columns, and the failed rows."""
        done = 0
        for first, following, path in self._parts():
            if first != done:
                continue
            done = following
            with pa.memory_map(str(path)) as file:
                reader = pyarrow.ipc.open_file(file)
                scored = reader.get_batch(0)
                failed = reader.get_batch(1).to_pylist() if reader.num_record_batches > 1 else []
                names = self._schema.names[:-2]
                yield (
                    pa.RecordBatch.from_arrays(
                        [scored.column(name) for name in names],
                        schema=pa.schema([self._schema.field(name) for name in names]),
                    ),
                    [FailedRow(row[names[0]], row[_REASON], row[_CONTENT]) for row in failed],
                )

    def clear(self) -> None:
        """Removes all parts: the job begins anew."""
        for _, _, path in self._parts():
            path.unlink()

    def remove(self) -> None:
        """Removes all parts: the output has them, or there are none worth keeping."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def close(self) -> None:
        """Lets another process go on with the job; a folder without parts goes."""
        if self.folder.exists() and not self._parts():
            self.remove()
        os.close(self._lock)

    def _failed_batch(self, failed: list[FailedRow]) -> pa.RecordBatch:
        columns: list[pa.Array] = [pa.array([row.row for row in failed], pa.int64())]
        columns += [pa.nulls(len(failed), field.type) for field in list(self._schema)[1:-2]]
        columns += [pa.array([row.reason for row in failed]), pa.array([row.content for row in failed])]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema)

    def _parts(self) -> list[tuple[int, int, Path]]:
        """Returns first row, following row and file of every part, in order."""
        found = []
        for path in sorted(self.folder.glob("*.arrow")):
            first, following = path.stem.split("-")
            found.append((int(first), int(following), path))
        return found

    def _write_whole(self, path: Path, content: Any) -> None:
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
