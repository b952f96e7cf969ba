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

    id: Mapped[str] = mapped_column(String(64), primary_key=True)  # its moment in UTC, the version of its models
    started_at: Mapped[datetime]  # when
    finished_at: Mapped[datetime | None]  # when it ended; null while it runs, and where it was killed
    outcome: Mapped[str] = mapped_column(String(16))  # running, succeeded, failed or interrupted
    error: Mapped[str | None] = mapped_column(Text)  # why it failed, or which of its models did
    process: Mapped[str] = mapped_column(String(255))  # host and process id, to tell a killed run from a running one
    selection: Mapped[dict[str, Any]]  # what was asked for: pipelines, namespaces, tags, …
    parameters: Mapped[dict[str, Any]]  # all that held, `conf/local` included
    code_version: Mapped[str | None] = mapped_column(String(64))  # git commit, with "+" where files were changed
    code_hash: Mapped[str | None] = mapped_column(String(64))  # SHA-256 of the project's own code
    data_fingerprint: Mapped[str | None] = mapped_column(String(64))  # SHA-256 of the SHA-256 of its CSVs, sorted
    files: Mapped[list[dict[str, Any]] | None]  # name, size, sha256, rows of each
    rows_in: Mapped[int | None]  # rows of all CSVs
    quarantined: Mapped[int | None]  # rows that were refused
    duplicates: Mapped[int | None]  # rows that repeat another
    training_rows: Mapped[int | None]  # stones to learn from
    holdout_rows: Mapped[int | None]  # stones to judge by
    holdout: Mapped[str | None] = mapped_column(String(64))  # `schema.frame_hash` of the stones that judge
    decision: Mapped[str | None] = mapped_column(Text)  # in one sentence
    gain: Mapped[dict[str, Any] | None]  # over the champion, with its interval; none where there was none to beat
    durations: Mapped[dict[str, float] | None] = mapped_column(OrderedDocument)  # seconds by node, in the order run


class TrainedModel(Base):
    """One model of one run, good, bad or failed."""

    __tablename__ = "trained_model"
    __table_args__ = (UniqueConstraint("name", "version", name="one_version_a_model"),)

    id: Mapped[int] = mapped_column(primary_key=True)  # counted
    run_id: Mapped[str] = mapped_column(ForeignKey("training_run.id"))  # the run that trained it, a `training_run.id`
    name: Mapped[str] = mapped_column(String(64))  # its file in `diamonds.models`
    version: Mapped[str] = mapped_column(String(64))  # the run's id
    trained_at: Mapped[datetime]  # when it was entered
    parameters: Mapped[dict[str, Any] | None]  # those that it was fitted with; null where it failed
    metrics: Mapped[dict[str, Any] | None]  # errors on the holdout, overall and by segment
    holdout: Mapped[str | None] = mapped_column(String(64))  # of the stones that gave the metrics
    artefact: Mapped[str | None] = mapped_column(Text)  # a folder, relative to the project where it lies inside
    error: Mapped[str | None] = mapped_column(Text)  # why it failed


class Promotion(Base):
    """One change of champion. The newest row names the present one; rows are never edited."""

    __tablename__ = "promotion"

    id: Mapped[int] = mapped_column(primary_key=True)  # counted; the greatest is the present
    previous_id: Mapped[int] = mapped_column(unique=True)  # 0 for the first; two successors cannot both be kept
    from_model: Mapped[str | None] = mapped_column(String(64))  # who was champion before; null for the first
    from_version: Mapped[str | None] = mapped_column(String(64))  # its version
    to_model: Mapped[str] = mapped_column(String(64))  # who became champion
    to_version: Mapped[str] = mapped_column(String(64))  # its version
    reason: Mapped[str] = mapped_column(Text)  # in words
    decided_at: Mapped[datetime]  # when


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

    request_id: Mapped[str] = mapped_column(ExchangeId, primary_key=True)  # a UUID of version 7, in every answer
    received_at: Mapped[datetime]  # when the request arrived
    duration_ms: Mapped[float]  # from then until the answer left
    method: Mapped[str] = mapped_column(String(16))  # of HTTP
    path: Mapped[str] = mapped_column(Text)  # what was asked, without what follows `?`
    status: Mapped[int]  # of HTTP
    request_body: Mapped[Any | None] = mapped_column(Document)  # what was sent
    response_body: Mapped[Any | None] = mapped_column(Document)  # what was answered
    model: Mapped[str | None] = mapped_column(String(64))  # who priced; null where nobody did
    version: Mapped[str | None] = mapped_column(String(64))  # its version
    client: Mapped[str | None] = mapped_column(String(255))  # the caller's address
    request_bytes: Mapped[int | None]  # how many arrived
    response_bytes: Mapped[int | None]  # how many were answered
    request_sha256: Mapped[str | None] = mapped_column(String(64))  # of what arrived; only where less of it is kept
    response_sha256: Mapped[str | None] = mapped_column(String(64))  # of what was answered; only where less is kept
    # Both bodies, packed, where prices were quoted and a body is kept cut: a sale may name any of them.
    quoted: Mapped[str | None] = mapped_column(Text)


class Sale(Base):
    """One price really paid, for a stone that was quoted. What was quoted is kept beside it, for the log is pruned."""

    __tablename__ = "sale"

    request_id: Mapped[str] = mapped_column(String(36), primary_key=True)  # of the exchange in `traffic`
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # in its batch; -1 if quoted alone
    price: Mapped[float]  # in dollars
    recorded_at: Mapped[datetime]  # when it was told
    stone: Mapped[dict[str, Any]]  # as it was described
    quote: Mapped[dict[str, Any]]  # as it was answered
    model: Mapped[str] = mapped_column(String(64))  # who quoted
    version: Mapped[str] = mapped_column(String(64))  # its version
    exported_to: Mapped[str | None] = mapped_column(String(255))  # the CSV of appraisals that it belongs to
    exported_at: Mapped[datetime | None]  # since when that is there


class Stream(Base):
    """One feed that was learned from, as it was configured when that began. Its rows lie in `data_<feed>`."""

    __tablename__ = "stream"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)  # its entry in `conf/base/streams.yml`
    config: Mapped[dict[str, Any]]  # that entry, as it was
    config_hash: Mapped[str] = mapped_column(String(64))  # of what decides what is learned
    created_at: Mapped[datetime]  # when


class StreamCheckpoint(Base):
    """What was learned from a feed so far, and how far that is: replaced with each batch, or not at all."""

    __tablename__ = "stream_checkpoint"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)  # a `stream.feed`
    version: Mapped[int] = mapped_column(BigInteger)  # how many batches; who commits names the one before
    page: Mapped[int] = mapped_column(BigInteger)  # the first that is not consumed whole
    last_key: Mapped[int | None] = mapped_column(BigInteger)  # the greatest that was accepted
    rows: Mapped[int] = mapped_column(BigInteger)  # how many were learned
    rejected: Mapped[int] = mapped_column(BigInteger)  # rows of the feed that are not learned, unless read again
    status: Mapped[str] = mapped_column(String(16))  # running, paused, caught up, stalled or failed
    state: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner, as it dumps itself
    state_schema: Mapped[int]  # the version of what is in `state`
    coefficients: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner
    statistics: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner; scores among them
    code_version: Mapped[str | None] = mapped_column(String(64))  # git commit that learned last
    updated_at: Mapped[datetime]  # when


class StreamHistory(Base):
    """What was learned after a batch: every batch at first, then one for each hundredth more rows."""

    __tablename__ = "stream_history"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)  # a `stream.feed`
    version: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # the checkpoint's then
    page: Mapped[int] = mapped_column(BigInteger)  # the first that was not consumed whole
    rows: Mapped[int] = mapped_column(BigInteger)  # how many were learned
    at: Mapped[datetime]  # when
    coefficients: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner
    scores: Mapped[dict[str, Any]] = mapped_column(OrderedDocument)  # by learner


class StreamReject(Base):
    """One row of a feed that could not be learned from, and why; read again, it may be resolved."""

    __tablename__ = "stream_reject"

    feed: Mapped[str] = mapped_column(String(32), primary_key=True)  # a `stream.feed`
    page: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # where it stood
    key: Mapped[str] = mapped_column(String(64), primary_key=True)  # the row's, or a hash of it where it has none
    reason: Mapped[str] = mapped_column(Text)  # in words
    raw: Mapped[str] = mapped_column(Text)  # as it came, cut where it is long
    counted: Mapped[bool]  # among the rejected; a revision of a row that was learned is not
    first_seen: Mapped[datetime]  # when
    resolved_at: Mapped[datetime | None]  # when it was learned after all, or was gone; null until then


class StreamEvent(Base):
    """Something that happened to a stream: started, paused, stalled, reset and the like."""

    __tablename__ = "stream_event"
    __table_args__ = (Index("stream_event_by_feed", "feed", "id"),)

    id: Mapped[int] = mapped_column(primary_key=True)  # counted
    feed: Mapped[str] = mapped_column(String(32))  # a `stream.feed`
    at: Mapped[datetime]  # when
    kind: Mapped[str] = mapped_column(String(16))  # started, paused, stalled, reset and the like
    detail: Mapped[dict[str, Any]]  # what more there is to say
