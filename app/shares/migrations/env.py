"""What Alembic runs for a migration: over the connection that ``app/shares/database.py`` hands it."""

from alembic import context

from app.shares.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
