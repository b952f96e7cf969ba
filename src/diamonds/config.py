"""Settings of this machine and its secrets, read from the environment when asked for."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

SQLITE = "sqlite:///"


def _absolute_url(url: SecretStr) -> SecretStr:
    place = url.get_secret_value().removeprefix(SQLITE)
    if place in {url.get_secret_value(), "", ":memory:"}:
        return url
    return SecretStr(f"{SQLITE}{Path(place).absolute()}")


class Settings(BaseSettings):
    """What `DIAMONDS_*` variables say; relative paths start at the working directory.

    Attributes:
        database_url: Any SQLAlchemy URL; it may carry a password, so it is never printed whole.
        outbox: Folder where exchanges wait for the database.
    """

    model_config = SettingsConfigDict(env_prefix="DIAMONDS_", frozen=True, validate_default=True)

    database_url: Annotated[SecretStr, AfterValidator(_absolute_url)] = SecretStr(f"{SQLITE}data/diamonds.db")
    outbox: Annotated[Path, AfterValidator(Path.absolute)] = Path("data/outbox")

    def as_environment(self) -> dict[str, str]:
        """The same settings as variables, for a process that starts in another working directory."""
        return {
            "DIAMONDS_DATABASE_URL": self.database_url.get_secret_value(),
            "DIAMONDS_OUTBOX": str(self.outbox),
        }


def read_settings() -> Settings:
    """Read the settings from the environment as it is now."""
    return Settings()
