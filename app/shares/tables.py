"""The tables of the database. Changes to them are migrations, in ``migrations/versions``."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")

SHARES = Table(
    "shares",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("slug", String(16), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),  # seconds since 1970
    Column("deletion_digest", String(64), nullable=False),  # SHA-256 of the token in the author's link
    Column("hidden", Boolean, nullable=False),
    Column("likes", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("pane", String(16), nullable=False),
    Column("language", String(16), nullable=False),
    Column("repo_id", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("sha", String(64), nullable=False),
    Column("candidate", Integer, nullable=False),  # the candidate that was shown
    Column("excerpt", Text, nullable=False),  # JSON: see excerpt.py
    Column("words", Text, nullable=False),  # the words it is found by: see words.py
    Column("attribution", Text),  # JSON of the spans found in the training files, if they were looked up
    # JSON of app/generation.py, or of app/comparison.py where the pane is "compare"; compressed by zlib
    Column("generation", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # ids are never reused, so that pagination continues where it stopped
)

LIKES = Table(
    "likes",
    METADATA,
    Column("share_id", _ID, ForeignKey("shares.id", ondelete="CASCADE"), primary_key=True),
    Column("visitor", String(64), primary_key=True),  # SHA-256 of what is in the visitor's cookie
)

REPORTS = Table(
    "reports",
    METADATA,
    Column("id", _ID, primary_key=True),
    Column("share_id", _ID, ForeignKey("shares.id", ondelete="CASCADE"), nullable=False),
    Column("visitor", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    UniqueConstraint("share_id", "visitor"),
)
