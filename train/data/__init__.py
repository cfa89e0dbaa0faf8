"""The data pipeline: from source files through filters to packed tokens."""
