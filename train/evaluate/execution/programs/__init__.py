"""How programs of each language are run, and how their exit is interpreted."""
