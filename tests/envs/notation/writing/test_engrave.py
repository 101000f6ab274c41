"""Score pictures: the same in every thread."""

import subprocess
import sys

PICTURES = """
import threading

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import musicxml

document = musicxml(Score([[[20] + [1] * 31]], Task()), 0, "Title", 80.0)
pictures = []
for _ in range(2):
    thread = threading.Thread(target=lambda: pictures.append(svg(document)))
    thread.start()
    thread.join()
    pictures.append(svg(document))
assert len(pictures) == 4 and len(set(pictures)) == 1
"""


def test_threads_after_the_first_draw_the_same_picture():
    subprocess.run([sys.executable, "-c", PICTURES], check=True)
