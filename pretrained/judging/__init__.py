"""Judges that are networks: trained where they are used, and never on what the priors know."""
