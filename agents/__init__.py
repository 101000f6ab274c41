"""What to do about it: policies, training, composing, evaluating."""
