"""How Kedro is set up for this project."""

from diamonds.hooks import TrainingHistory

HOOKS = (TrainingHistory(),)
CONFIG_LOADER_ARGS = {"base_env": "base", "default_run_env": "local"}
