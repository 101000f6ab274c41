"""Pages that an infiller fills: all cells at once, in an order of its own."""
