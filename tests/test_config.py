import os
import subprocess
import sys

import pytest

from diamonds.config import read_settings
from diamonds.errors import ConfigurationError
from diamonds.service.state import prepare


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "1000 None"),
        ({"GOMP_SPINCOUNT": "5"}, "5 None"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None ACTIVE"),
    ],
)
def test_threads_spin_for_a_moment_unless_they_are_told_otherwise(given, found):
    """OpenMP reads it as XGBoost loads, so the package sets it as it is imported, before anything else."""
    names = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    others = {name: value for name, value in os.environ.items() if name not in names}
    asked = f"import os, diamonds.models.xgboost; print(*map(os.environ.get, {names}))"

    said = subprocess.run([sys.executable, "-c", asked], env=others | given, capture_output=True, text=True, check=True)

    assert said.stdout == f"{found}\n"


@pytest.mark.parametrize(("given", "workers"), [(None, 1), ("1", 1), (" 12 ", 12)])
def test_a_number_of_workers_is_read(monkeypatch, given, workers):
    monkeypatch.delenv("DIAMONDS_WORKERS", raising=False)
    if given is not None:
        monkeypatch.setenv("DIAMONDS_WORKERS", given)

    assert read_settings().workers == workers


@pytest.mark.parametrize(("given", "mib"), [({}, 1024), ({"DIAMONDS_OUTBOX_MIB": "1"}, 1)])
def test_the_bound_of_the_outbox_is_read(monkeypatch, given, mib):
    monkeypatch.delenv("DIAMONDS_OUTBOX_MIB", raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)

    assert read_settings().outbox_mib == mib


@pytest.mark.parametrize("name", ["DIAMONDS_WORKERS", "DIAMONDS_OUTBOX_MIB"])
@pytest.mark.parametrize("given", ["", "0", "00", "-1", "1.5", "two", "²"])
def test_a_number_that_cannot_be_is_refused_in_plain_words(monkeypatch, name, given):
    monkeypatch.setenv(name, given)

    with pytest.raises(ConfigurationError) as refused:
        read_settings()

    assert str(refused.value) == f"{name} must be a whole number, 1 or more, not {given!r}"


@pytest.mark.parametrize(("given", "names"), [("", set()), ("email, Phone,,", {"email", "phone"})])
def test_names_of_masked_fields_are_read(monkeypatch, given, names):
    monkeypatch.setenv("DIAMONDS_MASKED_FIELDS", given)

    assert read_settings().masked_fields == names


def test_what_sales_are_looked_up_by_is_not_masked(monkeypatch):
    monkeypatch.setenv("DIAMONDS_MASKED_FIELDS", "email,price,carat")

    with pytest.raises(ConfigurationError, match="DIAMONDS_MASKED_FIELDS names carat, price: sales are looked up by"):
        prepare()


def test_a_token_from_a_file_that_ends_with_a_line_break_is_the_token(monkeypatch):
    monkeypatch.setenv("DIAMONDS_ADMIN_TOKEN", "sesame\n")

    assert read_settings().admin_token.get_secret_value() == "sesame"
