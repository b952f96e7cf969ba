"""Boosted trees as arrays that are walked, compiled or by NumPy: what they compute for one row, in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from diamonds.walk import Walk

Places = NDArray[np.intp]
Numbers = NDArray[np.floating[Any]]


class Tree(NamedTuple):
    """One tree, a place in each array for each of its nodes; its root is the first.

    Attributes:
        left: The place of the left child; -1 of a leaf.
        right: The place of the right one, where a row goes whose feature is at least the threshold.
        feature: The column that is compared.
        threshold: What it is compared with.
        value: What a leaf adds to the sum; of other nodes it does not matter.
    """

    left: NDArray[Any]
    right: NDArray[Any]
    feature: NDArray[Any]
    threshold: NDArray[Any]
    value: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Trees:
    """Trees whose leaves are added up, for one complete row at a time; several threads may ask at once.

    Siblings lie side by side, and a comparison says which of the two it is. A leaf leads to itself.

    Attributes:
        columns: The column of each comparison.
        thresholds: What that column is compared with.
        comparison: For each node the place of its comparison; a leaf has one beyond the last, which is never true.
        below: For each node the place of its left child, the right one beside it; the nodes of a row begin here.
        values: What each node adds, if it is where the row ends; that of the first tree with the base.
        count: The number of trees; their roots are the first nodes.
        levels: How often a row goes down until each tree has come to a leaf.
    """

    columns: Places
    thresholds: Numbers
    comparison: Places
    below: Places
    values: Numbers
    count: int
    levels: int

    @classmethod
    def of(cls, trees: Sequence[Tree], base: float, kind: type[np.floating[Any]]) -> Self:
        """These trees; thresholds, leaves, their sum and the base, which it begins with, are numbers of this kind."""
        sizes = [len(tree.left) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]])
        left, right, feature, threshold, value = (np.concatenate(column) for column in zip(*trees, strict=True))
        inner = np.flatnonzero(left >= 0)
        children = np.vstack([left, right])[:, inner] + np.repeat(roots, sizes)[inner]
        compared = np.vstack([feature, threshold.astype(kind)])[:, inner]
        pairs, comparison = np.unique(compared, axis=1, return_inverse=True)
        place = _siblings_side_by_side(len(left), roots, children)
        values = _moved(value.astype(kind), place)
        values[place[: sizes[0]]] += kind(base)
        never = len(pairs[0])
        asks = _moved(_filled(np.full(len(left), never), inner, comparison.ravel()), place)
        below = _moved(_filled(place, inner, place[children[0]]), place)
        levels = _levels(asks, below, len(trees), never)
        return cls(pairs[0].astype(np.intp), pairs[1].astype(kind), asks, below, values, len(trees), levels)

    def __call__(self, row: Sequence[float]) -> Any:  # noqa: ANN401 - of the kind they were made of
        """The sum of the leaves that a row without gaps comes to, in the order of the trees."""
        compiled = self._compiled
        return self.by_numpy(row) if compiled is None else compiled(row)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _compiled(self) -> Walk | None:
        """The same trees for the compiled walk, where there is one."""
        columns = np.append(self.columns, -1)[self.comparison]
        compared = np.append(self.thresholds, self.thresholds.dtype.type(0))[self.comparison]
        return Walk.over(np.where(columns < 0, self.values, compared), self.below, columns, self.count)

    def by_numpy(self, row: Sequence[float]) -> Any:  # noqa: ANN401 - of the kind they were made of
        """The same sum where nothing is compiled.

        The trees of a forest compare with the same few thousand thresholds, so these are compared first, all at once.
        All trees then go down a level by one step.
        """
        above = np.zeros(len(self.columns) + 1, np.intp)
        asked = np.array(row, self.thresholds.dtype).take(self.columns, None, None, "clip")
        np.greater_equal(asked, self.thresholds, above[:-1], casting="unsafe")
        comparison, below, step = self.comparison, self.below, np.empty(self.count, np.intp)
        above.take(comparison[: self.count], None, step, "clip")
        node = below[: self.count] + step
        for _ in range(self.levels - 1):
            comparison.take(node, None, step, "clip")
            step = above.take(step, None, None, "clip")
            node = below.take(node, None, None, "clip")
            node += step
        return self.values.take(node, None, None, "clip").cumsum()[-1]


def _siblings_side_by_side(count: int, roots: Places, children: Places) -> Places:
    """A new place for each of the nodes: the roots first, then the two children of each inner node."""
    place = np.empty(count, np.intp)
    place[roots] = np.arange(len(roots))
    place[children] = len(roots) + 2 * np.arange(children.shape[1]) + [[0], [1]]
    return place


def _filled(values: NDArray[Any], where: Places, others: NDArray[Any]) -> Places:
    """A copy with other values in some places."""
    filled = values.astype(np.intp)
    filled[where] = others
    return filled


def _moved(values: NDArray[Any], place: Places) -> NDArray[Any]:
    """Each value at its new place."""
    moved = np.empty_like(values)
    moved[place] = values
    return moved


def _levels(comparison: Places, below: Places, count: int, leaf: int) -> int:
    """How often all trees go down before each has come to a leaf, whose comparison this is."""
    nodes, levels = np.arange(count), 0
    while len(nodes := nodes[comparison[nodes] != leaf]):
        nodes = np.concatenate([below[nodes], below[nodes] + 1])
        levels += 1
    return levels
