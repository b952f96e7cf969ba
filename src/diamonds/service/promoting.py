"""Making a model champion from a page: by the project's own command, as a process of its own."""

from __future__ import annotations

import asyncio
import logging
import sys
from asyncio.subprocess import DEVNULL, PIPE
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from diamonds.schema import Problem
from diamonds.service.problems import RefusedError
from diamonds.store import history as memory

logger = logging.getLogger(__name__)

#: In seconds: a command that takes longer is ended.
DEADLINE_SECONDS = 120
#: In characters.
MOST_OF_A_REASON = 300
UNPROMOTED = "The champion is as it was"
LATE = (
    f"It took longer than {DEADLINE_SECONDS} s and was ended. Whether the champion is another one now is said on the"
    " page of models; `diamonds champion set` does the same in a shell, where the project is"
)
NO_COMMAND = (
    "This service only serves: it has no command `diamonds`, which changes the champion where models are trained:"
    " `diamonds champion set MODEL VERSION --reason REASON`"
)


@dataclass(frozen=True)
class Promotion:
    """What is asked for: the model, why, and the champion that was seen in its place.

    Attributes:
        model: The model's name.
        version: The run that trained it.
        reason: Why, in one sentence.
        seen: The promotion that was the latest when this was asked for; empty where that is not said.
    """

    model: str
    version: str
    reason: str
    seen: str

    @classmethod
    def of(cls, form: dict[str, str]) -> Promotion:
        """Read a form.

        Raises:
            RefusedError: It gives no reason, or one that is too long.
        """
        printable = "".join(each if each.isprintable() else " " for each in form.get("reason", ""))
        reason = " ".join(printable.split())
        if not reason:
            raise refused(422, "Say why: the history keeps the reason", "reason")
        if len(reason) > MOST_OF_A_REASON:
            raise refused(422, f"must be at most {MOST_OF_A_REASON} characters long", "reason")
        return cls(form.get("model", ""), form.get("version", ""), reason, form.get("seen", ""))

    @property
    def words(self) -> list[str]:
        """The arguments of the command; none of them is read as an option that it is not."""
        return ["champion", "set", f"--reason={self.reason}", "--", self.model, self.version]


def require_known(engine: Engine, asked: Promotion) -> None:
    """Let a model pass that the database knows, as long as the champion is the one that was seen.

    Raises:
        RefusedError: It is unknown or has no artefact, or the champion is another one by now.
        SQLAlchemyError: The database is away.
    """
    model = memory.trained_model(engine, asked.model, asked.version)
    if model is None or model["artefact"] is None:
        raise refused(404, "No run trained this model, or its training failed")
    present = memory.champion(engine)
    if present is not None and (present.name, present.version) == (asked.model, asked.version):
        raise refused(409, f"{asked.model} is champion already")
    if present is not None and asked.seen not in {"", str(present.promotion_id)}:
        raise refused(409, f"Meanwhile {present.name} became champion: {present.reason}. Look again")


def command() -> Path:
    """The project's own command.

    Raises:
        RefusedError: There is none here.
    """
    place = Path(sys.executable).with_name("diamonds")
    if not place.is_file():
        raise refused(501, NO_COMMAND)
    return place


async def promote(program: Path, asked: Promotion) -> str | None:
    """Run the command; None where the model is champion, else why it is not, in plain words."""
    process = await asyncio.create_subprocess_exec(program, *asked.words, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            _, complaints = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return LATE
    if process.returncode == 0:
        logger.info("%s %s was made champion from a page: %s", asked.model, asked.version, asked.reason)
        return None
    told = complaints.decode(errors="replace").strip()
    logger.error("%s %s was not made champion from a page: %s", asked.model, asked.version, told)
    return (told.splitlines() or ["The command failed without a word"])[-1].removeprefix("diamonds: ")


def refused(status: int, why: str, field: str = "") -> RefusedError:
    """A promotion that is refused, and why."""
    return RefusedError(status, [Problem(field, None, why)], UNPROMOTED)
