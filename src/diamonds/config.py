"""Settings of this machine and its secrets, read from the environment when asked for."""

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from diamonds.errors import ConfigurationError

SQLITE = "sqlite:///"
#: How a feed may be called: its rows lie in a table of that name.
FEED_NAME = "[a-z][a-z0-9_]{0,30}"


def _absolute_url(url: SecretStr) -> SecretStr:
    place = url.get_secret_value().removeprefix(SQLITE)
    if place in {url.get_secret_value(), "", ":memory:"}:
        return url
    return SecretStr(f"{SQLITE}{Path(place).absolute()}")


def _not_empty(key: SecretStr | None) -> SecretStr | None:
    """Without what surrounds it: secrets that come from files often end with a line break."""
    if key is None:
        return None
    if not (given := key.get_secret_value().strip()):
        raise ValueError("is empty: give it a key, or unset it")
    return SecretStr(given)


def _at_least_one(number: object) -> int:
    text = str(number).strip()
    if not (text.isascii() and text.isdecimal()) or not text.strip("0"):
        raise ValueError(f"must be a whole number, 1 or more, not {text!r}")
    return int(text)


def _feed_name(name: str | None) -> str | None:
    if name is not None and not re.fullmatch(FEED_NAME, name):
        raise ValueError(f"must be the name of a feed, as diamonds is in conf/base/streams.yml, not {name!r}")
    return name


def _http_address(url: str | None) -> str | None:
    if url is not None and not url.startswith(("http://", "https://")):
        raise ValueError(f"must be an address that begins with http:// or https://, not {url!r}")
    return url


def _scheduler_address(address: str | None) -> str | None:
    if address is not None and not re.fullmatch(r"((tcp|tls)://)?[^\s/]+:\d{1,5}", address):
        raise ValueError(f"must be the address of a Dask scheduler, as tcp://127.0.0.1:8786 is, not {address!r}")
    return address


def _names(listed: object) -> object:
    """Names given as a text, with commas between them."""
    if not isinstance(listed, str):
        return listed
    return frozenset(name.strip().lower() for name in listed.split(",") if name.strip())


class Settings(BaseSettings):
    """What `DIAMONDS_*` variables say; relative paths start at the working directory.

    Attributes:
        database_url: Any SQLAlchemy URL; it may carry a password, so it is never printed whole.
        outbox: Folder where exchanges wait for the database.
        outbox_mib: What may wait there at most, in MiB; what is beyond is not kept.
        signing_key: Signs the pricers that are saved, and only those it signed are loaded; without it any is.
        admin_token: Lets callers of the service change anything, or see logged bodies; without it only those on this
            machine may.
        masked_fields: Names of body fields whose values the traffic log does not keep, in lower case.
        workers: How many processes answer requests.
        stream_url: Where pages of the service lead to what learns from streams; without it, those seen on this machine
            lead to this machine's own.
        dask_address: The scheduler of a Dask cluster that `kedro run --env=dask` works on; without it, one is started
            on this machine for the run.
        market_index: The feed whose market index the prices of the service are multiplied by; none are without it.
    """

    model_config = SettingsConfigDict(
        env_prefix="DIAMONDS_", frozen=True, validate_default=True, hide_input_in_errors=True
    )

    database_url: Annotated[SecretStr, AfterValidator(_absolute_url)] = SecretStr(f"{SQLITE}data/diamonds.db")
    outbox: Annotated[Path, AfterValidator(Path.absolute)] = Path("data/outbox")
    outbox_mib: Annotated[int, BeforeValidator(_at_least_one)] = 1024
    signing_key: Annotated[SecretStr | None, AfterValidator(_not_empty)] = None
    admin_token: Annotated[SecretStr | None, AfterValidator(_not_empty)] = None
    masked_fields: Annotated[frozenset[str], NoDecode, BeforeValidator(_names)] = frozenset()
    workers: Annotated[int, BeforeValidator(_at_least_one)] = 1
    market_index: Annotated[str | None, AfterValidator(_feed_name)] = None
    stream_url: Annotated[str | None, AfterValidator(_http_address)] = None
    dask_address: Annotated[str | None, AfterValidator(_scheduler_address)] = None

    def as_environment(self) -> dict[str, str]:
        """The same settings as variables, for a process that starts in another working directory."""
        places = {
            "DIAMONDS_DATABASE_URL": self.database_url.get_secret_value(),
            "DIAMONDS_OUTBOX": str(self.outbox),
        }
        secrets = {"DIAMONDS_SIGNING_KEY": self.signing_key, "DIAMONDS_ADMIN_TOKEN": self.admin_token}
        market = {"DIAMONDS_MARKET_INDEX": self.market_index} if self.market_index else {}
        return places | market | {name: secret.get_secret_value() for name, secret in secrets.items() if secret}


def read_settings() -> Settings:
    """Read the settings from the environment as it is now.

    Raises:
        ConfigurationError: A variable cannot be used; the message names it, and not what it holds.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = [
            f"DIAMONDS_{'_'.join(map(str, each['loc'])).upper()} {each['msg'].removeprefix('Value error, ')}"
            for each in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigurationError("; ".join(problems)) from None
