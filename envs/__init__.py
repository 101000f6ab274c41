"""The MDP and the facts of music. Importing this registers the environments."""

from envs.old_names import install
from envs.registration import register_environments

install(__name__)
register_environments()
