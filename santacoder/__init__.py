"""SantaCoder: the model and everything that runs it."""
