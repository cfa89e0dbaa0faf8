"""Sharing what a pane shows, opening a share, and the gallery."""
