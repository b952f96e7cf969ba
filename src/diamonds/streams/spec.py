"""What a feed is: where it lies, what its rows hold, and who learns from them; one entry of `conf/base/streams.yml`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from diamonds.errors import ConfigurationError

#: A row of a feed as it was accepted: its key and its columns by name, each of the type that the spec names.
Row = Mapping[str, Any]

PLACE = Path("conf/base/streams.yml")
#: What this machine says otherwise, entry by entry and field by field.
LOCAL_PLACE = Path("conf/local/streams.yml")
NAME = r"^[a-z][a-z0-9_]{0,30}$"
STRICT = ConfigDict(extra="forbid", frozen=True)


class Column(BaseModel):
    """What one column holds.

    Attributes:
        type: A number is finite; a boolean may be written 0 or 1.
        least: No smaller number holds.
        most: No greater number holds.
        one_of: The texts that hold; None where any does.
    """

    model_config = STRICT

    type: Literal["number", "boolean", "text"]
    least: float | None = None
    most: float | None = None
    one_of: tuple[str, ...] | None = None


class Polling(BaseModel):
    """How often the end of a feed is looked at: each look without news is `factor` times later than the one before."""

    model_config = STRICT

    first_seconds: Annotated[float, Field(gt=0)] = 1.0
    factor: Annotated[float, Field(ge=1)] = 1.5
    most_seconds: Annotated[float, Field(gt=0)] = 30.0


class LearnerEntry(BaseModel):
    """One learner: `kind` names its module in `streams/learners/`, the rest are that module's `Params`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    kind: str

    @property
    def params(self) -> dict[str, Any]:
        """What the entry says besides its kind."""
        return dict(self.model_extra or {})


class FeedSpec(BaseModel):
    """A feed and its learners.

    Attributes:
        name: As the entry is called; the rows lie in the table `data_<name>`.
        about: What a row is, in a few words, for the page.
        url: Where it is served, without the path.
        path: Below that.
        page_parameter: The name under which the page's number is asked for.
        first_page: The number of the first page.
        page_size: How many rows a full page holds.
        key: The column that names a row: a whole number from 1, unique.
        columns: The other columns, in their order.
        end_statuses: HTTP statuses that mean the end of the data, beside an empty page.
        polling: How often the end is looked at.
        in_flight: How many pages are asked for at once.
        pages_a_batch: How many pages are learned in one transaction.
        connect_seconds: How long a connection may take.
        read_seconds: How long a page may take.
        learners: By name.
    """

    model_config = STRICT

    name: Annotated[str, Field(pattern=NAME)]
    about: str = ""
    url: str
    path: str = "/api/v1/data"
    page_parameter: str = "page"
    first_page: Annotated[int, Field(ge=0)] = 0
    page_size: Annotated[int, Field(ge=1, le=1000)] = 10
    key: Annotated[str, Field(pattern=NAME)] = "id"
    columns: Annotated[dict[Annotated[str, Field(pattern=NAME)], Column], Field(min_length=1)]
    end_statuses: tuple[int, ...] = (404,)
    polling: Polling = Polling()
    in_flight: Annotated[int, Field(ge=1, le=16)] = 4
    pages_a_batch: Annotated[int, Field(ge=1, le=500)] = 10
    connect_seconds: Annotated[float, Field(gt=0)] = 3.0
    read_seconds: Annotated[float, Field(gt=0)] = 10.0
    learners: dict[Annotated[str, Field(pattern=NAME)], LearnerEntry]

    @model_validator(mode="after")
    def _columns_are_free(self) -> FeedSpec:
        taken = {self.key, "position", "page", "seen_at"} & self.columns.keys()
        if taken:
            raise ValueError(f"the columns may not be called {', '.join(sorted(taken))}")
        return self

    @property
    def fields(self) -> tuple[str, ...]:
        """The key and the columns, in their order."""
        return (self.key, *self.columns)

    def config_hash(self) -> str:
        """SHA-256 in hex of all that decides what the same pages teach: not of where and how they are read."""
        deciding = self.model_dump(
            mode="json", include={"name", "first_page", "page_size", "key", "columns", "learners"}
        )
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()


def read_feeds(project: Path) -> dict[str, FeedSpec]:
    """The feeds of a project by name, as `conf/base/streams.yml` and `conf/local/streams.yml` say.

    Raises:
        ConfigurationError: A file is missing or an entry cannot be used; the message names it.
    """
    entries: dict[str, dict[str, Any]] = _read(project / PLACE)
    if (project / LOCAL_PLACE).is_file():
        for name, said in _read(project / LOCAL_PLACE).items():
            entries[name] = entries.get(name, {}) | said
    return {name: _spec(name, entry) for name, entry in entries.items()}


def feed(project: Path, name: str) -> FeedSpec:
    """One of them.

    Raises:
        ConfigurationError: There is no such entry, or it cannot be used.
    """
    feeds = read_feeds(project)
    if name not in feeds:
        raise ConfigurationError(f"{PLACE} has no feed {name}; known are {', '.join(feeds) or 'none'}")
    return feeds[name]


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        read = yaml.safe_load(path.read_text())
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror}; run this where `kedro run` is run"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(read, dict) or not all(isinstance(entry, dict) for entry in read.values()):
        raise ConfigurationError(f"{path} must hold one entry a feed, each with its fields")
    return read


def _spec(name: str, entry: dict[str, Any]) -> FeedSpec:
    try:
        return FeedSpec.model_validate({"name": name} | entry)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ConfigurationError(f"the feed {name} in {PLACE} cannot be used: {wrong}") from error
