"""Writers: a score becomes a file's bytes."""
