"""What every algorithm learns with: policy, rollout buffer, vector environment."""
