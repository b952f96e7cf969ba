"""What is learned from feeds, and how far that is."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"

document = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
ordered = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.create_table(
        "stream",
        sa.Column("feed", sa.String(32), primary_key=True),
        sa.Column("config", document, nullable=False),
        sa.Column("config_hash", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "stream_checkpoint",
        sa.Column("feed", sa.String(32), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("page", sa.BigInteger, nullable=False),
        sa.Column("last_key", sa.BigInteger),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("rejected", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("state", ordered, nullable=False),
        sa.Column("state_schema", sa.Integer, nullable=False),
        sa.Column("coefficients", ordered, nullable=False),
        sa.Column("statistics", ordered, nullable=False),
        sa.Column("code_version", sa.String(64)),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "stream_history",
        sa.Column("feed", sa.String(32), primary_key=True),
        sa.Column("version", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("page", sa.BigInteger, nullable=False),
        sa.Column("rows", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("coefficients", ordered, nullable=False),
        sa.Column("scores", ordered, nullable=False),
    )
    op.create_table(
        "stream_reject",
        sa.Column("feed", sa.String(32), primary_key=True),
        sa.Column("page", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("raw", sa.Text, nullable=False),
        sa.Column("counted", sa.Boolean, nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True)),
    )
    op.create_table(
        "stream_event",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("feed", sa.String(32), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("detail", document, nullable=False),
    )
    op.create_index("stream_event_by_feed", "stream_event", ["feed", "id"])
