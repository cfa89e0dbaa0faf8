"""Alembic's environment: runs migrations on the connection that ``app/shares/database.py`` provides."""

from alembic import context

from app.shares.database import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
