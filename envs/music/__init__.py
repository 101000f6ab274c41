"""Facts about music: keys, metres, tasks, scores and pieces."""
