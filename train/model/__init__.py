"""The model a run trains: where it starts, and what training adds to it."""
