"""The tables, one class each; what changes here needs a migration beside it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    String,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Moment(TypeDecorator[datetime]):
    """A moment in UTC, always aware of it; SQLite itself keeps no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: D102, ARG002
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: D102, ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: JSON, as PostgreSQL keeps it best. A missing value is SQL's NULL, not JSON's.
Document = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


#: JSON whose keys keep their order, which PostgreSQL's JSONB does not.
OrderedDocument = JSON(none_as_null=True)


#: A UUID as text, which sorts as its bytes do.
ExchangeId = String(36).with_variant(String(36, collation="C"), "postgresql")


class Base(DeclarativeBase):
    """All tables of the project."""

    type_annotation_map: ClassVar = {
        datetime: Moment,
        dict[str, Any]: Document,
        list[dict[str, Any]]: Document,
    }


class TrainingRun(Base):
    """One `kedro run`, whatever became of it."""

    __tablename__ = "training_run"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    outcome: Mapped[str] = mapped_column(String(16))  # running, succeeded, failed or interrupted
    error: Mapped[str | None] = mapped_column(Text)
    process: Mapped[str] = mapped_column(String(255))  # host and process id, to tell a killed run from a running one
    selection: Mapped[dict[str, Any]]  # what was asked for: pipelines, namespaces, tags, …
    parameters: Mapped[dict[str, Any]]
    code_version: Mapped[str | None] = mapped_column(String(64))  # git commit, with "+" where files were changed
    code_hash: Mapped[str | None] = mapped_column(String(64))  # SHA-256 of the project's own code
    data_fingerprint: Mapped[str | None] = mapped_column(String(64))
    files: Mapped[list[dict[str, Any]] | None]  # name, size, sha256, rows of each
    rows_in: Mapped[int | None]
    quarantined: Mapped[int | None]
    duplicates: Mapped[int | None]
    training_rows: Mapped[int | None]
    holdout_rows: Mapped[int | None]
    holdout: Mapped[str | None] = mapped_column(String(64))  # `schema.frame_hash` of the stones that judge
    decision: Mapped[str | None] = mapped_column(Text)  # in one sentence
    gain: Mapped[dict[str, Any] | None]  # over the champion, with its interval; none where there was none to beat
    durations: Mapped[dict[str, float] | None] = mapped_column(OrderedDocument)  # seconds by node, in the order run


class TrainedModel(Base):
    """One model of one run, good, bad or failed."""

    __tablename__ = "trained_model"
    __table_args__ = (UniqueConstraint("name", "version", name="one_version_a_model"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("training_run.id"))
    name: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    trained_at: Mapped[datetime]
    parameters: Mapped[dict[str, Any] | None]
    metrics: Mapped[dict[str, Any] | None]
    holdout: Mapped[str | None] = mapped_column(String(64))  # of the stones that gave the metrics
    artefact: Mapped[str | None] = mapped_column(Text)  # a folder, relative to the project where it lies inside
    error: Mapped[str | None] = mapped_column(Text)


class Promotion(Base):
    """One change of champion. The newest row names the present one; rows are never edited."""

    __tablename__ = "promotion"

    id: Mapped[int] = mapped_column(primary_key=True)
    previous_id: Mapped[int] = mapped_column(unique=True)  # 0 for the first; two successors cannot both be kept
    from_model: Mapped[str | None] = mapped_column(String(64))
    from_version: Mapped[str | None] = mapped_column(String(64))
    to_model: Mapped[str] = mapped_column(String(64))
    to_version: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str] = mapped_column(Text)
    decided_at: Mapped[datetime]


class Traffic(Base):
    """One exchange over HTTP. A body that is not JSON is kept as a JSON string, and so is the beginning of a long one.

    PostgreSQL keeps each month apart, by `request_id`: it begins with the time in milliseconds (UUID of version 7).
    """

    __tablename__ = "traffic"
    __table_args__ = (
        Index("traffic_by_time", "received_at", "status", "duration_ms"),
        Index("traffic_by_path", "path", "request_id"),
        Index("traffic_by_status", "status", "request_id"),
        Index("traffic_by_version", "version", "request_id"),
        {"postgresql_partition_by": "RANGE (request_id)"},
    )

    request_id: Mapped[str] = mapped_column(ExchangeId, primary_key=True)
    received_at: Mapped[datetime]
    duration_ms: Mapped[float]
    method: Mapped[str] = mapped_column(String(16))
    path: Mapped[str] = mapped_column(Text)
    status: Mapped[int]
    request_body: Mapped[Any | None] = mapped_column(Document)
    response_body: Mapped[Any | None] = mapped_column(Document)
    model: Mapped[str | None] = mapped_column(String(64))
    version: Mapped[str | None] = mapped_column(String(64))
    client: Mapped[str | None] = mapped_column(String(255))
    request_bytes: Mapped[int | None]  # how many arrived
    response_bytes: Mapped[int | None]
    request_sha256: Mapped[str | None] = mapped_column(String(64))  # of what arrived; only where less of it is kept
    response_sha256: Mapped[str | None] = mapped_column(String(64))
    # Both bodies, packed, where prices were quoted and a body is kept cut: a sale may name any of them.
    quoted: Mapped[str | None] = mapped_column(Text)


class Sale(Base):
    """One price really paid, for a stone that was quoted. What was quoted is kept beside it, for the log is pruned."""

    __tablename__ = "sale"

    request_id: Mapped[str] = mapped_column(String(36), primary_key=True)  # of the exchange in `traffic`
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # in its batch; -1 if quoted alone
    price: Mapped[float]  # in dollars
    recorded_at: Mapped[datetime]
    stone: Mapped[dict[str, Any]]  # as it was described
    quote: Mapped[dict[str, Any]]  # as it was answered
    model: Mapped[str] = mapped_column(String(64))
    version: Mapped[str] = mapped_column(String(64))
    exported_to: Mapped[str | None] = mapped_column(String(255))  # the CSV of appraisals that it belongs to
    exported_at: Mapped[datetime | None]  # since when that is there


class Stream(Base):
    """One feed that was learned from, as it was configured when that began. Its rows lie in `data_<feed>`."""

    __tablename__ = "stream"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)
    config: Mapped[dict[str, Any]]
    config_hash: Mapped[str] = mapped_column(String(64))  # of what decides what is learned
    created_at: Mapped[datetime]


class StreamCheckpoint(Base):
    """What was learned from a feed so far, and how far that is: replaced with each batch, or not at all."""

    __tablename__ = "stream_checkpoint"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)  # how many batches; who commits names the one before
    page: Mapped[int] = mapped_column(BigInteger)  # the first that is not consumed whole
    last_key: Mapped[int | None] = mapped_column(BigInteger)  # the greatest that was accepted
    rows: Mapped[int] = mapped_column(BigInteger)
    rejected: Mapped[int] = mapped_column(BigInteger)  # rows of the feed that are not learned, unless read again
    status: Mapped[str] = mapped_column(String(16))  # running, paused, caught up, stalled or failed
    state: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner, as it dumps itself
    state_schema: Mapped[int]
    coefficients: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner
    statistics: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner; scores among them
    code_version: Mapped[str | None] = mapped_column(String(64))
    updated_at: Mapped[datetime]


class StreamHistory(Base):
    """What was learned after a batch: every batch at first, then one for each hundredth more rows."""

    __tablename__ = "stream_history"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    page: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime]
    coefficients: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)
    scores: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)


class StreamReject(Base):
    """One row of a feed that could not be learned from, and why; read again, it may be resolved."""

    __tablename__ = "stream_reject"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)
    page: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    key: Mapped[str] = mapped_column(String(64), primary_key=True)  # the row's, or a hash of it where it has none
    reason: Mapped[str] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)  # as it came, cut where it is long
    counted: Mapped[bool]  # among the rejected; a revision of a row that was learned is not
    first_seen: Mapped[datetime]
    resolved_at: Mapped[datetime | None]


class StreamEvent(Base):
    """Something that happened to a stream: started, paused, stalled, reset and the like."""

    __tablename__ = "stream_event"
    __table_args__ = (Index("stream_event_by_feed", "feed", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    feed: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(16))
    detail: Mapped[dict[str, Any]]
