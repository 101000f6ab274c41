"""The MDP and the facts of music. Importing this registers the environments."""

from gymnasium.envs.registration import register, registry

_ENTRY = {
    "entry_point": "envs.composition:CompositionEnv",
    "vector_entry_point": "envs.composition:CompositionVectorEnv",
    "order_enforce": True,
}

if "composition/RLTuner-v0" not in registry:
    register(id="composition/RLTuner-v0", kwargs={"reward": "rl_tuner"}, **_ENTRY)
    register(id="composition/Melody-v0", kwargs={"reward": "default", "bars": 4}, **_ENTRY)
