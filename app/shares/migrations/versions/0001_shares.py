"""Shares, likes, reports, and the index of words."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "shares",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("slug", sa.String(16), nullable=False, unique=True),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("deletion_digest", sa.String(64), nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("likes", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("pane", sa.String(16), nullable=False),
        sa.Column("language", sa.String(16), nullable=False),
        sa.Column("repo_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Text, nullable=False),
        sa.Column("sha", sa.String(64), nullable=False),
        sa.Column("candidate", sa.Integer, nullable=False),
        sa.Column("excerpt", sa.Text, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("attribution", sa.Text),
        sa.Column("generation", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    # one index for each filter and order of the gallery; none contains hidden shares
    for filters in ([], ["language"], ["repo_id", "revision"], ["language", "repo_id", "revision"]):
        for order in (["id"], ["likes", "id"]):
            op.create_index(
                "_".join(["shares_by", *filters, *order]),
                "shares",
                [*filters, *order],
                sqlite_where=sa.text("hidden = 0"),
                postgresql_where=sa.text("NOT hidden"),
            )
    op.create_table(
        "likes",
        sa.Column("share_id", _ID, sa.ForeignKey("shares.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("visitor", sa.String(64), primary_key=True),
    )
    op.create_table(
        "reports",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("share_id", _ID, sa.ForeignKey("shares.id", ondelete="CASCADE"), nullable=False),
        sa.Column("visitor", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.UniqueConstraint("share_id", "visitor"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _index_words_in_sqlite()
    else:
        _index_words_in_postgresql()


def _index_words_in_sqlite() -> None:
    """Create an FTS5 table over the column, kept up to date by triggers. Words have no order, so positions are not
    stored.
    """
    op.execute(
        "CREATE VIRTUAL TABLE shares_words USING fts5(words, content='shares', content_rowid='id', detail=none, "
        "columnsize=0, tokenize='unicode61 remove_diacritics 0')"
    )
    op.execute(
        "CREATE TRIGGER shares_words_insert AFTER INSERT ON shares BEGIN "
        "INSERT INTO shares_words(rowid, words) VALUES (new.id, new.words); END"
    )
    op.execute(
        "CREATE TRIGGER shares_words_delete AFTER DELETE ON shares BEGIN "
        "INSERT INTO shares_words(shares_words, rowid, words) VALUES ('delete', old.id, old.words); END"
    )


def _index_words_in_postgresql() -> None:
    op.execute(
        "ALTER TABLE shares ADD COLUMN words_index tsvector "
        "GENERATED ALWAYS AS (array_to_tsvector(string_to_array(words, ' '))) STORED"
    )
    op.execute("CREATE INDEX shares_words ON shares USING gin (words_index) WITH (fastupdate = off)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE shares_words")
    for table in ("reports", "likes", "shares"):
        op.drop_table(table)
