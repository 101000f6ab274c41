"""What music is likely: priors and the corpora they learn from."""
