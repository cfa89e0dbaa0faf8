"""Training: from source files to a published revision and its evaluation."""
