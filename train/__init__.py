"""From raw source files to a published revision, and its scores."""
