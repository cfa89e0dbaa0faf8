"""The user interfaces: the web page and the server with its HTTP API."""
