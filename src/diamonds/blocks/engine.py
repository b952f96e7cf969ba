"""What does the work of a run."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field


class Engine(BaseModel, extra="forbid"):
    """What does the work of a run.

    Attributes:
        kind: All in `memory`; block by block from the disk, and XGBoost with `external_memory`; or blocks side by side
            on the workers of a `dask` cluster.
        block_rows: About so many rows are a block; several blocks lie in a process's memory at once.
        most_stones: Where stones come in blocks, what does not need all of them is learned from so many at most, chosen
            by a hash: the search for parameters, bands, usual proportions, models that only know tables in memory,
            and the resamples that judge a challenger. None for all.
        workers: The processes of the local cluster, where no other is named by `DIAMONDS_DASK_ADDRESS`.
        deadline: Seconds after which Dask workers that have read no block, and grown no tree, are given up.
    """

    kind: Literal["memory", "external_memory", "dask"] = "memory"
    block_rows: int = Field(default=50_000, ge=1)
    most_stones: int | None = Field(default=200_000, ge=1)
    workers: int = Field(default=2, ge=1)
    deadline: float = Field(default=600, gt=0)
