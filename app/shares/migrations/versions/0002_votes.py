"""Votes of blind comparisons."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "votes",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("comparison", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("repo_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("points", sa.Float, nullable=False),
        sa.Column("games", sa.Integer, nullable=False),
        sa.UniqueConstraint("visitor", "comparison", "repo_id", "revision"),
    )
    op.create_index("votes_by_revision", "votes", ["repo_id", "revision", "points", "games"])


def downgrade() -> None:
    op.drop_table("votes")
