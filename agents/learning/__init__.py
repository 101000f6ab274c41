"""The parts that all algorithms learn with: policy, rollout buffer, vector environment."""
