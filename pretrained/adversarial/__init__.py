"""A generator of melodies that learned from a critic: a generative adversarial network."""
