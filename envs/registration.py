"""The environments that `gymnasium.make` knows by name."""

from gymnasium.envs.registration import register, registry

COMPOSITION, COUNTERPOINT = "envs.composition:Composition", "envs.counterpoint:Counterpoint"
ENVIRONMENTS: dict[str, tuple[str, dict[str, object]]] = {
    "composition/RLTuner-v0": (COMPOSITION, {"reward": "rl_tuner"}),
    "composition/Melody-v0": (COMPOSITION, {"reward": "common_practice", "bars": 4}),
    "composition/Chorale-v0": (
        COMPOSITION,
        {"reward": "satb_common_practice", "bars": 4, "voices": 4, "ranges": "SATB"},
    ),
    "composition/Counterpoint-v0": (
        COUNTERPOINT,
        {"key": "D dorian", "bars": 11, "grid": 2, "voices": 2, "ranges": "C4-A5 G3-E5"},
    ),
}


def register_environments() -> None:
    """Register the environments with Gymnasium, unless they are."""
    for name, (module, arguments) in ENVIRONMENTS.items():
        if name not in registry:
            register(
                id=name,
                entry_point=f"{module}Env",
                vector_entry_point=f"{module}VectorEnv",
                kwargs=arguments,
            )
