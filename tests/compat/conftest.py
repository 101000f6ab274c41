"""What 0.4 left behind is data here, no tests."""

collect_ignore = ["v04"]
