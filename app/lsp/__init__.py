"""A language server: suggestions in every editor that speaks the Language Server Protocol."""
