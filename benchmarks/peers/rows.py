"""What the floors share: rows of lists inside records as Arrow tables, and one Parquet file a table, read by DuckDB."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.peers.asking import RESULT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

TIME = pa.timestamp("us", "UTC")


def positions(sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """For lists of these sizes, the number of each element in its own list."""
    ends = np.cumsum(sizes)
    return np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - sizes, sizes)


def parents(sizes: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    """For lists of these sizes, the number of the list that each element is in."""
    return np.repeat(np.arange(len(sizes)), sizes)


class Tables:
    """Writes each table to a Parquet file of its own, and all of them into the database at the end."""

    def __init__(self) -> None:
        self._files: dict[str, pq.ParquetWriter] = {}

    def add(self, name: str, rows: pa.Table) -> None:
        """Writes some rows of a table."""
        if name not in self._files:
            self._files[name] = pq.ParquetWriter(f"{name}.parquet", rows.schema, compression="none")
        self._files[name].write_table(rows)

    def load(self) -> None:
        """Makes the tables in the database, with all rows."""
        with duckdb.connect(RESULT, config={"threads": 1}) as db:
            for name, file in self._files.items():
                file.close()
                db.execute(f"create table {name} as from read_parquet('{name}.parquet')")
