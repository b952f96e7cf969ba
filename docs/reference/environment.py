"""The variables of the environment, from the settings that read them."""

import os

from pydantic import SecretStr

from diamonds.config import Settings
from reference.markdown import code, table
from reference.models import attributes

HEAD = """# Environment

Machines and secrets are told by the environment; relative paths start at the working directory. What cannot be used
is refused by name.
"""
MORE = """Besides, BentoML reads its own (`BENTOML_HOME`, where the model store lies, and others), Kedro its own,
and the MLflow client [its own](../mlflow.md).
"""


def page() -> str:
    """All variables, in the order of the settings."""
    about = attributes(Settings)
    rows = [
        [code(f"DIAMONDS_{name.upper()}"), _default(field.default), about[name]]
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join([HEAD, table(["variable", "default", "meaning"], rows), MORE])


def _default(default: object) -> str:
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if isinstance(default, os.PathLike):
        default = os.fspath(default)
    return code(default) if default else "none"
