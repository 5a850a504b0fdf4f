"""A shard of the joined log as files: tf.Examples for whoever reads examples, and columns for the steps that count."""

from __future__ import annotations

import dataclasses

import pyarrow as pa
import pyarrow.parquet

from data.example_encoding import encode_examples
from data.output_files import open_output
from data.record_framing import frame_records


@dataclasses.dataclass(frozen=True)
class ShardTask:
    """A shard to write.

    Attributes:
      rows: Its rows, as an Arrow IPC stream: pickled, a slice of a table would carry the whole of it.
      examples: Path of its TFRecord file.
      columns: Path of its Parquet file.
    """

    rows: pa.Buffer
    examples: str
    columns: str


def shard_task(rows: pa.Table, examples: str, columns: str) -> ShardTask:
    """What a worker needs to write a shard."""
    stream = pa.BufferOutputStream()
    with pa.ipc.new_stream(stream, rows.schema) as writer:
        writer.write_table(rows)
    return ShardTask(stream.getvalue(), examples, columns)


def write_shard(task: ShardTask) -> int:
    """Writes a shard's two files; returns their number of rows."""
    table = pa.ipc.open_stream(task.rows).read_all().combine_chunks()
    rows = 0
    # Uncompressed: gzip alone would take more than half of the ingestion's time.
    with open_output(task.examples) as file:
        for batch in table.to_batches():
            for examples in encode_examples(batch):
                file.write(frame_records(examples))
                rows += len(examples)
    with open_output(task.columns) as file:
        pyarrow.parquet.write_table(table, file, compression="zstd", write_statistics=False)
    return rows
