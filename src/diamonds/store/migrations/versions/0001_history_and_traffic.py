"""The tables of the first day: runs, models, promotions and traffic."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

moment = sa.DateTime(timezone=True)
document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "training_run",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("started_at", moment, nullable=False),
        sa.Column("finished_at", moment),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("error", sa.Text),
        sa.Column("process", sa.String(255), nullable=False),
        sa.Column("selection", document, nullable=False),
        sa.Column("parameters", document, nullable=False),
        sa.Column("code_version", sa.String(64)),
        sa.Column("data_fingerprint", sa.String(64)),
        sa.Column("files", document),
        sa.Column("rows_in", sa.Integer),
        sa.Column("quarantined", sa.Integer),
        sa.Column("duplicates", sa.Integer),
        sa.Column("training_rows", sa.Integer),
        sa.Column("holdout_rows", sa.Integer),
        sa.Column("decision", sa.Text),
    )
    op.create_table(
        "trained_model",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run_id", sa.String(64), sa.ForeignKey("training_run.id"), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("version", sa.String(64), nullable=False),
        sa.Column("trained_at", moment, nullable=False),
        sa.Column("parameters", document),
        sa.Column("metrics", document),
        sa.Column("artefact", sa.Text),
        sa.Column("error", sa.Text),
        sa.UniqueConstraint("name", "version", name="one_version_a_model"),
    )
    op.create_table(
        "promotion",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("previous_id", sa.Integer, nullable=False, unique=True),
        sa.Column("from_model", sa.String(64)),
        sa.Column("from_version", sa.String(64)),
        sa.Column("to_model", sa.String(64), nullable=False),
        sa.Column("to_version", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("decided_at", moment, nullable=False),
    )
    op.create_table(
        "traffic",
        sa.Column("request_id", sa.String(36), primary_key=True),
        sa.Column("received_at", moment, nullable=False),
        sa.Column("duration_ms", sa.Double, nullable=False),
        sa.Column("method", sa.String(16), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("request_body", document),
        sa.Column("response_body", document),
        sa.Column("model", sa.String(64)),
        sa.Column("version", sa.String(64)),
        sa.Column("client", sa.String(255)),
    )
    op.create_index("traffic_received_at", "traffic", ["received_at"])
