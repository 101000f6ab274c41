"""Terms that change along a training: they learn, or remember, what the agent writes."""
