"""The tasks: what a model is asked, and how its text is scored."""
