"""Agents that decide: policies, training, composing, evaluating.

Importing this registers the algorithms that ship, as importing `envs` registers the environments.
"""

import agents.algorithms.catalogue  # noqa: F401
from envs.old_names import install

install(__name__)
