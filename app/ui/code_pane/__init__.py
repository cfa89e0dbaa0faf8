"""The panes Complete and Fill in the middle."""
