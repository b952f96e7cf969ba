"""Employees drawn from known processes: the same seed gives the same rows, whichever of them are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Rows are drawn so many at a time: any of them can be had without all that come before.
BLOCK = 1000


def _logistic(competence: Array, network: Array, uniform: Array, normal: Array) -> NDArray[np.bool_]:  # noqa: ARG001
    return _by_logit(-1 + 1.5 * competence + network, uniform)


def _sum(competence: Array, network: Array, uniform: Array, normal: Array) -> NDArray[np.bool_]:  # noqa: ARG001
    return competence + network + 0.5 * normal > 1


def _interaction(competence: Array, network: Array, uniform: Array, normal: Array) -> NDArray[np.bool_]:  # noqa: ARG001
    return _by_logit(-1 + competence + network + 1.5 * competence * network, uniform)


def _max(competence: Array, network: Array, uniform: Array, normal: Array) -> NDArray[np.bool_]:  # noqa: ARG001
    return np.maximum(competence, network) + 0.2 * normal > 1


def _hard(competence: Array, network: Array, uniform: Array, normal: Array) -> NDArray[np.bool_]:  # noqa: ARG001
    return competence + network > 1


def _by_logit(logit: Array, uniform: Array) -> NDArray[np.bool_]:
    return uniform < 1 / (1 + np.exp(-logit))


#: In each, competence and networking ability are independent standard normals, and decide the promotion.
PROCESSES: dict[str, Callable[[Array, Array, Array, Array], NDArray[np.bool_]]] = {
    "logistic": _logistic,
    "sum": _sum,
    "interaction": _interaction,
    "max": _max,
    "hard": _hard,
}
#: Here instead competence earns the promotion, and the promotion the network.
CHAIN = "chain"


def employees(process: str, seed: int, start: int, stop: int) -> list[dict[str, Any]]:
    """The employees from `start` (counted from 0) to before `stop`, their ids counted from 1."""
    rows: list[dict[str, Any]] = []
    for block in range(start // BLOCK, -(-stop // BLOCK)):
        first = block * BLOCK
        drawn = _block(process, seed, block)
        rows += drawn[max(start - first, 0) : stop - first]
    return rows


def _block(process: str, seed: int, block: int) -> list[dict[str, Any]]:
    random = np.random.default_rng([seed, block])
    competence, network, normal = random.standard_normal((3, BLOCK))
    uniform = random.random(BLOCK)
    if process == CHAIN:
        promoted = _by_logit(1.5 * competence, uniform)
        network = promoted + network
    else:
        promoted = PROCESSES[process](competence, network, uniform, normal)
    columns = zip(competence.tolist(), network.tolist(), promoted.tolist(), strict=True)
    return [
        {"id": block * BLOCK + number, "competence": each, "network_ability": its_network, "promoted": its_promotion}
        for number, (each, its_network, its_promotion) in enumerate(columns, 1)
    ]
