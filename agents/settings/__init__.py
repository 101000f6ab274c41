"""Settings of the verbs: dataclasses, files and command lines."""
