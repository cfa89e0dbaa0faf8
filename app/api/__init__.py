"""The protocols of editors and clients: a module for each, which all run requests in the same way."""
