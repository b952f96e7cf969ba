"""How Kedro is set up for this project."""

from diamonds.hooks import TrainingHistory
from diamonds.tracking.hook import MlflowTracking
from diamonds.workers import RunWorkers

HOOKS = (TrainingHistory(), MlflowTracking(), RunWorkers())
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
