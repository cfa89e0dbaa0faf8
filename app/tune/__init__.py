"""A model tuned to the code of one project, from one command."""
