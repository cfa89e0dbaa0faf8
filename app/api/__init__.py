"""The protocols of editors and clients: one module for each, all with the same way to run a request."""
