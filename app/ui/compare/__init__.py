"""The pane that compares revisions."""
