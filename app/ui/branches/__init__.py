"""The pane of a model's branches."""
