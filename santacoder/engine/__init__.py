"""The one path from a request to a stream of tokens, shared by the page and the API."""
