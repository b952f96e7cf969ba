"""Traffic by month in PostgreSQL, an index for each question, and what is known of bodies that are kept cut."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

NEW: dict[str, Any] = {
    "request_bytes": sa.Integer,
    "response_bytes": sa.Integer,
    "request_sha256": sa.String(64),
    "response_sha256": sa.String(64),
    "quoted": sa.Text,
}


def upgrade() -> None:
    for name, kind in NEW.items():
        op.add_column("traffic", sa.Column(name, kind))
    is_partitioned = op.get_bind().dialect.name == "postgresql"
    op.drop_index("traffic_received_at", "traffic")
    _cut_paths(rewriting=is_partitioned)
    if is_partitioned:
        _begin_partitions()
    op.create_index("traffic_by_time", "traffic", ["received_at", "status", "duration_ms"])
    op.create_index("traffic_by_path", "traffic", ["path", "request_id"])
    op.create_index("traffic_by_status", "traffic", ["status", "request_id"])
    op.create_index("traffic_by_version", "traffic", ["version", "request_id"])


def _cut_paths(*, rewriting: bool) -> None:
    """Cut long paths: of an index entry PostgreSQL takes no more than some 2,700 bytes.

    Its indexes have the rows too that their own transaction updated, as they were: the table is written anew.
    """
    cut = "substr(path, 1, 499) || '…'"
    if not rewriting:
        op.execute(f"UPDATE traffic SET path = {cut} WHERE length(path) > 500")  # noqa: S608
    elif op.get_bind().scalar(sa.text("SELECT EXISTS (SELECT FROM traffic WHERE length(path) > 500)")):
        op.execute(
            "ALTER TABLE traffic ALTER COLUMN path TYPE text"
            f" USING CASE WHEN length(path) > 500 THEN {cut} ELSE path END"
        )


def _begin_partitions() -> None:
    """Let the table of before be the partition of all that has no month of its own."""
    op.execute("ALTER TABLE traffic RENAME TO traffic_rest")
    op.execute("ALTER INDEX traffic_pkey RENAME TO traffic_rest_pkey")
    op.execute('ALTER TABLE traffic_rest ALTER COLUMN request_id TYPE varchar(36) COLLATE "C"')
    op.execute("CREATE TABLE traffic (LIKE traffic_rest INCLUDING DEFAULTS) PARTITION BY RANGE (request_id)")
    op.execute("ALTER TABLE traffic ADD PRIMARY KEY (request_id)")
    op.execute("ALTER TABLE traffic ATTACH PARTITION traffic_rest DEFAULT")
