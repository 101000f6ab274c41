"""Facts about music: keys, metres, tasks, scores and pieces."""

from envs.music.codec import Codec, Note
from envs.music.key import Key
from envs.music.meter import Meter
from envs.music.piece import Piece
from envs.music.score import Score
from envs.music.task import Task

__all__ = ["Codec", "Key", "Meter", "Note", "Piece", "Score", "Task"]
