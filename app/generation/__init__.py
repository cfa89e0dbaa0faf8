"""From a task to texts as they grow, and what is kept of them."""
