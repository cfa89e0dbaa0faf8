"""Source files, what is kept of them, and the packed tokens a training run reads."""
