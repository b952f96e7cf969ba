import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("given", "found"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_threads_wait_without_spinning_unless_they_are_told_to(given, found):
    """OpenMP reads it as XGBoost loads, so the package sets it as it is imported, before anything else."""
    others = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    asked = "import os, diamonds.models.xgboost; print(os.environ['OMP_WAIT_POLICY'])"

    said = subprocess.run([sys.executable, "-c", asked], env=others | given, capture_output=True, text=True, check=True)

    assert said.stdout == f"{found}\n"
