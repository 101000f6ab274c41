"""Run directories: what a training leaves behind, readable whenever it ends."""
