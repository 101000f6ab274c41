"""The MDP and the facts of music. Importing this registers the environments."""

from gymnasium.envs.registration import register, registry

from envs.old_names import install

_DEFAULTS: dict[str, dict[str, object]] = {
    "composition/RLTuner-v0": {"reward": "rl_tuner"},
    "composition/Melody-v0": {"reward": "common_practice", "bars": 4},
}

for _name, _kwargs in _DEFAULTS.items():
    if _name not in registry:
        register(
            id=_name,
            entry_point="envs.composition:CompositionEnv",
            vector_entry_point="envs.composition:CompositionVectorEnv",
            kwargs=_kwargs,
        )

install(__name__)
