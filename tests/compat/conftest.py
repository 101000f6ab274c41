"""Files of 0.4 are data here and are not collected as tests."""

collect_ignore = ["v04"]
