"""The backlog: an outbox's files that wait for the database, and what cannot go there."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diamonds.store.notice import Notice
from diamonds.store.outbox_folder import segment_paths
from diamonds.store.segment import Batch, Segment, count_lines

logger = logging.getLogger(__name__)

#: Takes records and answers those that the database refuses for good.
Ship = Callable[[Sequence[str]], Sequence[str]]

#: What is wrong with this process when a file cannot be opened, and not with the file.
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR}


@dataclass
class Tally:
    """What will not reach the database.

    Attributes:
        unreadable: Lines that are no records, or that the database refuses: they are kept aside.
        lost: Exchanges whose file somebody removed.
        notice: Says what is kept aside, once a minute at most.
    """

    unreadable: int = 0
    lost: int = 0
    notice: Notice = field(
        default_factory=lambda: Notice(logger, "%(times)d lines of the outbox are no records of exchanges: %(why)s")
    )


class Backlog:
    """The files of one outbox that nothing is added to any more, the oldest first.

    Nothing in a file holds up what comes after it: lines that are no records are kept in a file beside it, and a file
    that cannot be read, or whose lines cannot be copied because the disk is full, is kept whole, under another name.
    """

    def __init__(self, folder: Path, owner: str, tally: Tally) -> None:
        """Begin with the files that are there."""
        self._aside = folder / f"{owner}.unreadable"
        self._tally = tally
        self._segments = [Segment(path, count_lines(path)) for path in segment_paths(folder, owner)]

    def __len__(self) -> int:
        """How many records wait."""
        return sum(segment.waiting for segment in list(self._segments))

    @property
    def is_done(self) -> bool:
        """Whether no file waits."""
        return not self._segments

    def add(self, path: Path, records: int) -> None:
        """Let a file wait too, behind the others."""
        self._segments.append(Segment(path, records))

    def ship(self, ship: Ship) -> None:
        """Hand a batch of the oldest records to `ship` and forget them once it returns."""
        segment = self._segments[0]
        try:
            batch = segment.read()
        except (FileNotFoundError, NotADirectoryError):
            return self.forget_missing()
        except OSError as error:
            if error.errno in _OURS:
                raise
            return self._give_up(segment, error)
        if batch is None:
            return self._finish(segment)
        refused = ship(batch.records) if batch.records else []
        self._put_aside(segment, batch, [*batch.unreadable, *(record.encode() for record in refused)])
        segment.advance(batch)
        return None

    def forget_missing(self) -> None:
        """Notice that files were removed, and say how many exchanges went with them."""
        missing = [segment for segment in list(self._segments) if not segment.path.exists()]
        for segment in missing:
            self._segments.remove(segment)
        lost = sum(segment.waiting for segment in missing)
        if lost:
            self._tally.lost += lost
            logger.error("somebody removed %d exchanges that waited in %s", lost, self._aside.parent)

    def _put_aside(self, segment: Segment, batch: Batch, lines: Sequence[bytes]) -> None:
        """Keep what is no record, for somebody to look at."""
        self._tally.unreadable += len(lines) + batch.is_endless
        if batch.is_endless:
            self._keep_whole(segment, "it has a stretch without a line break that is too long to be a record")
        if not lines:
            return
        try:
            self._aside.touch(0o600)
            with self._aside.open("ab") as file:
                file.writelines(line + b"\n" for line in lines)
        except OSError as error:
            self._keep_whole(segment, f"it has {len(lines)} lines that are no records, and {self._aside}: {error}")
        else:
            self._tally.notice.happened(f"they are kept in {self._aside}", len(lines))

    def _keep_whole(self, segment: Segment, why: str) -> None:
        if not segment.is_spoilt:
            logger.error("%s is kept aside once it is shipped: %s", segment.path, why)
        segment.is_spoilt = True

    def _give_up(self, segment: Segment, error: OSError) -> None:
        """Go on without a file that cannot be read."""
        logger.error("%s cannot be read, it is kept aside: %s", segment.path, error)
        self._tally.unreadable += max(1, segment.waiting)
        segment.is_spoilt = True
        self._finish(segment)

    def _finish(self, segment: Segment) -> None:
        """Remove a file that is done with, or give it another name; where neither can be done, leave it."""
        self._segments.remove(segment)
        try:
            if segment.is_spoilt:
                segment.path.rename(segment.path.with_suffix(".unreadable"))
            else:
                segment.path.unlink(missing_ok=True)
        except OSError as error:
            logger.error("%s cannot be removed and is left as it is: %s", segment.path, error)
