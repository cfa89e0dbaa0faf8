"""Results: estimated, compared, reported, drawn."""
