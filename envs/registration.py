"""The environments that `gymnasium.make` knows by name."""

from gymnasium.envs.registration import register, registry

ENVIRONMENTS: dict[str, dict[str, object]] = {
    "composition/RLTuner-v0": {"reward": "rl_tuner"},
    "composition/Melody-v0": {"reward": "common_practice", "bars": 4},
}


def register_environments() -> None:
    """Register the environments with Gymnasium, unless they are."""
    for name, arguments in ENVIRONMENTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point="envs.composition:CompositionEnv",
                vector_entry_point="envs.composition:CompositionVectorEnv",
                kwargs=arguments,
            )
