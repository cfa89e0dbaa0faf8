"""How a program of each language is run, and what its end means."""
