"""Tables that outgrow memory: in blocks on disk, worked on one after the other or by the workers of a Dask cluster."""

from diamonds.blocks.engine import Engine
from diamonds.blocks.table import Blocks, Part, row_by_row, some_of
from diamonds.blocks.workers import Workers, begin, current, end

__all__ = ["Blocks", "Engine", "Part", "Workers", "begin", "current", "end", "row_by_row", "some_of"]
