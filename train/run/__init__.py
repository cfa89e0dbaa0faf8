"""What a run keeps: its folder, states, log and validation."""
