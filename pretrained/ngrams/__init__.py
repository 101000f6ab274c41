"""N-gram models: a baseline, and a judge that no agent is trained on."""
