"""Which holdout judged, by how much the challenger gained, and how long each node took."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

ordered_document = sa.JSON(none_as_null=True)
document = ordered_document.with_variant(postgresql.JSONB(none_as_null=True), "postgresql")


def upgrade() -> None:
    op.add_column("training_run", sa.Column("holdout", sa.String(64)))
    op.add_column("training_run", sa.Column("gain", document))
    op.add_column("training_run", sa.Column("durations", ordered_document))
    op.add_column("trained_model", sa.Column("holdout", sa.String(64)))
