import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "10000 None"),
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
