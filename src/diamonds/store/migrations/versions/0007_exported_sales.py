"""Which file each sale was exported to, and since when it is there."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("sale", sa.Column("exported_to", sa.String(255)))
    op.add_column("sale", sa.Column("exported_at", sa.DateTime(timezone=True)))
