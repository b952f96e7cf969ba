"""What is told of models: of the one that serves, and of those that each run trained."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema
from sqlalchemy import Engine

from diamonds.pricer import Pricer
from diamonds.pricer.parts import BENTO_DESCRIPTION
from diamonds.service import messages
from diamonds.service.market import Known
from diamonds.store import history as memory


class Accuracy(BaseModel):
    """How well a model prices stones that it has not learned from. What is not known is null."""

    model_config = ConfigDict(extra="allow")

    stones: int | None = Field(None, description="how many stones it was judged by, where they are part of all")
    mae: float | None = Field(None, description="mean absolute error in US dollars: how far a price is off, on average")
    rmse: float | None = Field(
        None, description="root of the mean squared error in US dollars: large errors weigh more"
    )
    mape: float | None = Field(None, description="mean absolute error as a share of the price: 0.06 is 6 %")
    bias: float | None = Field(None, description="mean error in US dollars: above 0, stones are priced too high")
    r2: float | None = Field(None, description="share of the differences in price that is explained: 1 is all")
    coverage: float | None = Field(None, description="share of stones whose price lay between `low` and `high`")
    width: float | None = Field(None, description="mean of `high` minus `low`, as a share of the price")


class Metrics(BaseModel):
    """How well a model did on the stones that are held out of training."""

    model_config = ConfigDict(extra="allow")

    stones: int | None = Field(None, description="how many stones it was judged by")
    overall: Accuracy | None = Field(None, description="over all of them, fully measured")
    four_cs: Accuracy | None = Field(None, description="when only carat, cut, color and clarity are given")
    segments: dict[str, dict[str, Accuracy]] = Field({}, description="by carat band and by grade")


class Range(BaseModel):
    """The least and the greatest value."""

    min: float
    max: float


class TrainedOn(BaseModel):
    """The data a model learned from."""

    data_fingerprint: str = Field(description="names the contents of the files; two runs on the same files share it")
    rows: int = Field(description="how many stones")


class MarketCard(BaseModel):
    """How far prices have moved from the model's since it was trained, as it is learned from a feed."""

    index: float = Field(description="by how much prices are above the model's: 1.02 is 2 %")
    low: float = Field(description="lower end of its 95 % interval, which stays valid while it is watched")
    high: float = Field(description="upper end")
    offered: bool = Field(description="whether prices are multiplied by it: it is sure enough, and makes them better")
    retrain: bool = Field(description="whether the market has moved so far that the model should be trained anew")
    stones: int = Field(description="how many newly appraised stones it was learned from")
    as_of_rows: int = Field(description="how many rows of the feed were seen by then")

    @classmethod
    def of(cls, known: Known) -> MarketCard:
        """What is known, in the words of answers."""
        its = known.learned
        return cls(
            index=its.index, low=its.low, high=its.high, offered=its.offered, retrain=its.retrain, stones=its.stones,
            as_of_rows=its.rows,
        )  # fmt: skip


class ChampionCard(BaseModel):
    """The model that serves: since when and why, what it learned from, and how well it does."""

    name: str = Field(description="the model's name, as in each quote")
    version: str = Field(description="the run that trained it, as in each quote")
    promoted_at: datetime = Field(description="since when it serves, UTC")
    reason: str = Field(description="why it was chosen")
    trained_at: datetime = Field(description="UTC")
    trained_on: TrainedOn
    params: dict[str, Any] = Field(description="the model's parameters")
    metrics: Metrics
    ranges: dict[str, Range] = Field(
        description="of each number among the stones it learned from (carats, percent, mm); a quote's `outside` names"
        " what lies beyond"
    )
    market: MarketCard | SkipJsonSchema[None] = Field(
        None,
        exclude_if=lambda card: card is None,
        json_schema_extra=messages.never_null,
        description="how far the market has moved since; only where the service follows one that was learned beside"
        " this model",
    )
    request_id: str


class ModelCard(BaseModel):
    """A model of a run, good, bad or failed."""

    name: str
    version: str
    trained_at: datetime = Field(description="UTC")
    parameters: dict[str, Any] | None
    metrics: Metrics | None = Field(description="null where it failed or was not judged")
    holdout: str | None = Field(
        description="names the stones it was judged by; metrics of different ones don't compare"
    )
    error: str | None = Field(description="why it failed, where it did")
    promoted: bool = Field(description="whether it ever became champion")


class RunCard(BaseModel):
    """A run of the training, whatever became of it."""

    id: str = Field(description="the version of its models")
    started_at: datetime = Field(description="UTC")
    finished_at: datetime | None = Field(description="UTC; null while it runs")
    outcome: str = Field(description="running, succeeded, failed or interrupted")
    error: str | None
    decision: str | None = Field(description="what became of the champion, in one sentence")
    gain: dict[str, Any] | None = Field(description="over the champion before, with its interval")
    code_version: str | None = Field(description="git commit, with + where files were changed")
    data_fingerprint: str | None
    files: list[dict[str, Any]] | None = Field(description="each with name, size, sha256 and rows")
    rows_in: int | None
    quarantined: int | None = Field(description="rows that were refused")
    duplicates: int | None
    training_rows: int | None
    holdout_rows: int | None
    parameters: dict[str, Any]
    models: list[ModelCard] = Field(description="the smallest error first")


class HistoryQuery(BaseModel):
    """How much of the history is asked for."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(100, ge=1, le=1000, description="how many runs at most")


class History(BaseModel):
    """The runs and their models, newest first."""

    runs: list[RunCard]
    request_id: str


def champion_card(pricer: Pricer, folder: Path, request_id: str, known: Known | None = None) -> ChampionCard:
    """Tell of the champion from the pricer itself and the label of the folder it lies in, an entry of Bento's store.

    What is known of its market is told too.
    """
    summary = pricer.summary
    return ChampionCard(
        name=pricer.name,
        version=pricer.version,
        trained_on=TrainedOn(data_fingerprint=summary.data_fingerprint, rows=summary.rows),
        params=summary.params,
        ranges={field: Range(min=least, max=most) for field, (least, most) in summary.ranges.items()},
        market=MarketCard.of(known) if known else None,
        request_id=request_id,
        **_label(folder),
    )


@lru_cache(maxsize=2)
def _label(folder: Path) -> dict[str, Any]:
    """What the entry says of itself: `promoted_at`, `trained_at`, `reason`, `metrics`. It is never edited in place."""
    described: dict[str, Any] = yaml.safe_load((folder / BENTO_DESCRIPTION).read_text())["metadata"]
    return described


def newest(engine: Engine, query: HistoryQuery, request_id: str) -> bytes:
    """A `History` as JSON: the runs as the database gives them, without what concerns only the machine they ran on.

    Raises:
        DBAPIError: The database is away.
    """
    runs = [RunCard.model_validate(run) for run in memory.runs(engine, query.limit)]
    return History(runs=runs, request_id=request_id).model_dump_json().encode()
