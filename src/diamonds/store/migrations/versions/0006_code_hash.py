"""Which code a run ran, committed or not."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("training_run", sa.Column("code_hash", sa.String(64)))
