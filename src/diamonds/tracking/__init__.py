"""What tells MLflow about runs, where MLflow is wanted: see docs/mlflow.md."""
