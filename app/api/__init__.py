"""The protocols of editors and clients, beside the page: one module for each, over one way to run a request."""
