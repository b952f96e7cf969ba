"""How much is asked, killed, made and waited for; smaller for a quick look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The sizes of all parts, as the command line calls them.

    Attributes:
        requests: Asked of each database by `truth`.
        kills: Of `kill`, half of them of a worker, half of the whole service.
        outage: How many seconds PostgreSQL is away.
        rate: Requests a second of the load that does not wait for answers.
        rounds: Of `cost`.
        seconds: That each measurement of `cost` lasts.
        records: That `shipping` ships.
        rows: That `millions` asks.
        seed: Of all that is drawn.
    """

    requests: int = 20_000
    kills: int = 20
    outage: float = 60
    rate: float = 1_000
    rounds: int = 5
    seconds: float = 2
    records: int = 100_000
    rows: int = 5_000_000
    seed: int = 0
