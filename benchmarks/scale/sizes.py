"""How much is served, searched and loaded; smaller for a quick look."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """The sizes of all parts, as the command line calls them.

    Attributes:
        rounds: Of `workers`.
        seconds: That each measurement of `workers` lasts.
        trials: That `tuners` make, alone and together.
        searched: How many stones a trial is judged on.
        stones: In the table that `index` serves.
    """

    rounds: int = 3
    seconds: float = 5
    trials: int = 60
    searched: int = 20_000
    stones: int = 5_400_000
