"""What a diamond is: its columns, units, grades and limits, and the one check used at every door."""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

if TYPE_CHECKING:
    import pandera.pandas as pa


@dataclass(frozen=True)
class Measure:
    """A number that describes a stone: more than 0 and at most `most`, in `unit`."""

    unit: str
    most: float
    about: str


#: Grades, each from worst to best.
GRADES: dict[str, tuple[str, ...]] = {
    "cut": ("Fair", "Good", "Very Good", "Premium", "Ideal"),
    "color": ("J", "I", "H", "G", "F", "E", "D"),
    "clarity": ("I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"),
}
MEASURES: dict[str, Measure] = {
    "carat": Measure("ct", 100, "weight in carats (1 ct is 0.2 g)"),
    "depth": Measure("%", 100, "height over mean diameter, 200 z / (x + y), in percent"),
    "table": Measure("%", 100, "width of the top facet over the diameter, in percent"),
    "price": Measure("USD", 100_000_000, "price in US dollars"),
    "x": Measure("mm", 100, "length in millimetres"),
    "y": Measure("mm", 100, "width in millimetres"),
    "z": Measure("mm", 100, "height in millimetres"),
}
COLUMNS = ("carat", "cut", "color", "clarity", "depth", "table", "price", "x", "y", "z")
FEATURES = tuple(column for column in COLUMNS if column != "price")
REQUIRED = ("carat", *GRADES)
MEASUREMENTS = tuple(column for column in FEATURES if column not in REQUIRED)

#: Sizes in mm of a 1 ct stone; those of others grow with the cube root of the weight.
#: Medians of the 53,940 classic stones (data/README.md).
SIZE_OF_ONE_CARAT = {"x": 6.42, "y": 6.42, "z": 3.97}
#: A size is a gross contradiction beyond this many times what the weight implies, or below its share.
GROSS_ABOVE, GROSS_BELOW = 2.0, 0.25

#: Lower edges in carats of the bands by which errors and coverage are reported.
CARAT_BANDS = (0.0, 0.5, 1.0, 1.5, 2.0)
CARAT_BAND_NAMES = (*(f"{low:g}-{high:g}" for low, high in pairwise(CARAT_BANDS)), f"{CARAT_BANDS[-1]:g}+")


def canonical_grade(field: str, text: object) -> str | None:
    """The grade that `text` means, whatever its case and spacing; None if it means none.

    >>> canonical_grade("cut", " very  good")
    'Very Good'
    """
    if not isinstance(text, str):
        return None
    return _GRADE_BY_KEY[field].get(_key(text))


def grade_problem(field: str, value: object) -> str | None:
    """What is wrong with a grade, in plain words; None if nothing is."""
    if canonical_grade(field, value) is not None:
        return None
    best_first = GRADES[field][::-1]
    problem = f"must be one of {', '.join(best_first)} ({best_first[0]} is the best)"
    meant = _closest(_key(str(value)), _GRADE_BY_KEY[field])
    return f"{problem}; did you mean {_GRADE_BY_KEY[field][meant]}?" if meant else problem


def measure_problem(field: str, value: object) -> str | None:
    """What is wrong with a number, in plain words; None if nothing is."""
    measure = MEASURES[field]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:  # noqa: PLR0124 - NaN
        return "must be a number"
    if not 0 < value <= measure.most:
        return f"must be more than 0 and at most {measure.most:,} {measure.unit}"
    return None


def field_problem(field: str, value: object) -> str | None:
    """What is wrong with a field of a diamond, in plain words; None if nothing is.

    >>> field_problem("color", "Z")
    'must be one of D, E, F, G, H, I, J (D is the best)'
    >>> field_problem("x", 0)
    'must be more than 0 and at most 100 mm'
    """
    return (grade_problem if field in GRADES else measure_problem)(field, value)


def frame_schema() -> pa.DataFrameSchema:
    """The schema of a table of priced stones, its columns as in `COLUMNS`."""
    import pandera.pandas as pa

    columns = {
        name: pa.Column(str, pa.Check.isin(GRADES[name]))
        if name in GRADES
        else pa.Column(float, [pa.Check.gt(0), pa.Check.le(MEASURES[name].most)])
        for name in COLUMNS
    }
    return pa.DataFrameSchema(columns, strict=True)


def frame_of(stones: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The stones as a frame with the columns `FEATURES`; measurements that are None or absent are NaN."""
    columns = {
        field: [stone[field] for stone in stones]
        if field in GRADES
        else pd.array([stone.get(field) for stone in stones], dtype="float64")
        for field in FEATURES
    }
    return pd.DataFrame(columns)


def expected_size(field: str, carat: pd.Series[float]) -> pd.Series[float]:
    """The size in mm along x, y or z that the weight implies."""
    return SIZE_OF_ONE_CARAT[field] * carat ** (1 / 3)


def contradictions(stones: pd.DataFrame) -> pd.DataFrame:
    """Which sizes contradict the weight grossly: a boolean column for each of x, y and z."""
    ratios = {size: stones[size] / expected_size(size, stones["carat"]) for size in SIZE_OF_ONE_CARAT}
    return pd.DataFrame(
        {size: (ratio > GROSS_ABOVE) | (ratio < GROSS_BELOW) for size, ratio in ratios.items()},
        index=stones.index,
    )


def carat_bands(carat: pd.Series[float]) -> pd.Series[str]:
    """The carat band of each stone, as `"0.5-1"`; the last is open: `"2+"`."""
    found = np.searchsorted(CARAT_BANDS, carat.to_numpy(), side="right") - 1
    return pd.Series(np.array(CARAT_BAND_NAMES, dtype=object)[found], index=carat.index, dtype=str)


def stone_keys(stones: pd.DataFrame) -> pd.Series[int]:
    """A number that names each stone: 64 bits of BLAKE2b over all that describes it, its price left out.

    The same stone has the same key on every machine and in any order of rows, whatever it is appraised at.
    """
    texts = stones["carat"].map("{:.4f}".format)
    for column in FEATURES[1:]:
        shown = stones[column] if column in GRADES else stones[column].map("{:.4f}".format)
        texts = texts + "|" + shown.astype(str)
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return pd.Series([int.from_bytes(digest) for digest in digests], index=stones.index, dtype="uint64")


def frame_hash(stones: pd.DataFrame | Iterable[pd.DataFrame]) -> str:
    """SHA-256 in hex of the content of priced stones: of every cell of `COLUMNS`, and of the order of the rows.

    Two frames of the same hash hold the same stones at the same prices, whatever file or memory they lie in, and in
    whatever blocks they come.
    """
    digest = hashlib.sha256()
    for frame in [stones] if isinstance(stones, pd.DataFrame) else stones:
        rows = pd.util.hash_pandas_object(frame[list(COLUMNS)], index=False)
        digest.update(rows.to_numpy(dtype="<u8").tobytes())
    return digest.hexdigest()


def _key(text: str) -> str:
    return "".join(text.split()).casefold()


_GRADE_BY_KEY = {field: {_key(grade): grade for grade in grades} for field, grades in GRADES.items()}


def _grade(field: str) -> BeforeValidator:
    return BeforeValidator(lambda value: canonical_grade(field, value) or value)


def _ranked(field: str) -> Any:  # noqa: ANN401 - pydantic's own return type
    best_first = GRADES[field][::-1]
    return Field(description=f"from best to worst: {', '.join(best_first)} ({best_first[0]} is the best)")


def _measure(field: str) -> Any:  # noqa: ANN401 - pydantic's own return type
    measure = MEASURES[field]
    return Field(gt=0, le=measure.most, allow_inf_nan=False, description=measure.about)


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


#: JSON knows one kind of number: 5.0 is as whole as 5. To stand behind a field's limits, which are described only so.
WHOLE = BeforeValidator(_whole)
Carat = Annotated[float, _measure("carat")]
Cut = Annotated[Literal["Fair", "Good", "Very Good", "Premium", "Ideal"], _grade("cut"), _ranked("cut")]
Color = Annotated[Literal["J", "I", "H", "G", "F", "E", "D"], _grade("color"), _ranked("color")]
Clarity = Annotated[
    Literal["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"], _grade("clarity"), _ranked("clarity")
]


class Diamond(BaseModel):
    """A stone as a caller describes it: the four Cs are required, the measurements are not."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    carat: Carat
    cut: Cut
    color: Color
    clarity: Clarity
    depth: Annotated[float, _measure("depth")] | None = None
    table: Annotated[float, _measure("table")] | None = None
    x: Annotated[float, _measure("x")] | None = None
    y: Annotated[float, _measure("y")] | None = None
    z: Annotated[float, _measure("z")] | None = None


class PricedDiamond(BaseModel):
    """A stone of the training data: every measurement is known, and its price."""

    model_config = ConfigDict(frozen=True)

    carat: float
    cut: Cut
    color: Color
    clarity: Clarity
    depth: float
    table: float
    x: float
    y: float
    z: float
    price: float


#: More problems than this are counted, not listed; longer texts are cut.
MOST_PROBLEMS, MOST_CHARACTERS = 20, 200
MOST_SHOWN = 1e15
LONGEST_MISSPELLING = 50


@dataclass(frozen=True)
class Problem:
    """One thing wrong with what a caller sent: where, what was got (cut where it is long), and what would hold."""

    field: str
    got: str | float | bool | None
    problem: str


def problems(error: ValidationError, model: type[BaseModel]) -> list[Problem]:
    """What is wrong with an object, or a list of objects, that `model` describes, in plain words, in their order.

    A field of an object in a list is called by its position, counted from 0: `[17].color`.
    """
    found = error.errors(include_url=False)
    listed = [_problem(details, model) for details in found[:MOST_PROBLEMS]]
    if (more := len(found) - MOST_PROBLEMS) > 0:
        listed.append(Problem("", None, f"{more:,} more problems are not listed"))
    return listed


def _problem(details: Mapping[str, Any], model: type[BaseModel]) -> Problem:
    place, path = "", [str(part) for part in details["loc"]]
    if details["loc"] and isinstance(details["loc"][0], int):
        place = f"[{path.pop(0)}]" + "." * bool(path)
    field = ".".join([part for part in path if part in model.model_fields] or path)
    got = _shown(details["input"])
    if details["type"] == "missing":
        return Problem(f"{place}{field}", None, "is required")
    return Problem(f"{place}{_cut(field)}", got, _wrong(details, field, model))


def _wrong(details: Mapping[str, Any], field: str, model: type[BaseModel]) -> str:
    if details["type"] == "extra_forbidden":
        return _unknown_field(field, model)
    if details["type"] in _LISTS:
        return _LISTS[details["type"]].format(**details.get("ctx", {}))
    if details["type"].startswith("uuid"):
        return "must be a request_id, as answers have it"
    if isinstance(details["input"], float) and not math.isfinite(details["input"]):
        return "must be a finite number"
    known = field in GRADES or field in MEASURES
    return (known and field_problem(field, details["input"])) or _plain(details["msg"])


_LISTS = {
    "list_type": "must be a list",
    "too_short": "must hold at least {min_length:,}",
    "too_long": "must hold at most {max_length:,}",
}


def _shown(got: object) -> str | float | bool | None:
    """What was got, as strict JSON can show it."""
    if got is None or isinstance(got, bool) or (isinstance(got, (int, float)) and abs(got) <= MOST_SHOWN):
        return got
    if isinstance(got, list) and len(got) > MOST_PROBLEMS:
        return f"a list of {len(got):,}"
    return _cut(got if isinstance(got, str) else repr(got))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text):,} characters)"


def _closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that is meant, if one is near."""
    if len(word) > LONGEST_MISSPELLING:
        return None
    return next(iter(difflib.get_close_matches(word, known, n=1, cutoff=0.6)), None)


def _unknown_field(field: str, model: type[BaseModel]) -> str:
    meant = _closest(field.casefold(), model.model_fields)
    hint = f"did you mean {meant}?" if meant else f"known are {', '.join(model.model_fields)}"
    return f"is not a known field; {hint}"


def _plain(message: str) -> str:
    return message.replace("Input should be", "must be").replace("Input should", "must")
