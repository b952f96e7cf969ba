"""What happened to a stream: started, paused, stalled, reset and the like."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from diamonds.store.tables import StreamEvent
from diamonds.streams.memory.texts import storable

LONGEST_KIND = 16


def record(connection: Connection, feed: str, kind: str, detail: Mapping[str, Any], at: datetime | None = None) -> None:
    """Enter an event, of now where nothing else is said."""
    said = {name: storable(value) if isinstance(value, str) else value for name, value in detail.items()}
    row = {"feed": feed, "at": at or datetime.now(UTC), "kind": kind[:LONGEST_KIND], "detail": said}
    connection.execute(insert(StreamEvent).values(**row))


def newest(connection: Connection, feed: str, most: int) -> list[dict[str, Any]]:
    """The newest events, the newest first."""
    asked = (
        select(StreamEvent.at, StreamEvent.kind, StreamEvent.detail)
        .where(StreamEvent.feed == feed)
        .order_by(StreamEvent.id.desc())
        .limit(most)
    )
    return [dict(row) for row in connection.execute(asked).mappings()]
