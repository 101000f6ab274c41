"""Methods beside each other under one budget."""
