"""Networks that can be priors and policies."""
