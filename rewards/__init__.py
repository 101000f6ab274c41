"""What music is good: rules, likelihood and their weighted sum."""
