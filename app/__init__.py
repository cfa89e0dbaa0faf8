"""What people touch: the web page and its server."""
