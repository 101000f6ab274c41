"""What to do about it: policies, training, composing, evaluating."""

from envs.old_names import install

install(__name__)
