"""Random pieces to write and to read back."""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from envs.music.codec import Note
from envs.music.key import SCALES, Key
from envs.music.meter import Meter
from envs.music.piece import score_of
from envs.music.task import Task

quick = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
TONICS = [letter + sign for letter in "CDEFGAB" for sign in ("", "#", "b")]
METERS = ["4/4", "3/4", "6/8", "2/4", "2/2", "12/8", "9/8", "5/4", "7/8", "3/8", "3/2", "4/16"]
METERS += ["5/8", "7/16"]


def fits(meter: str, grid: int) -> bool:
    return 4 * grid * Meter.parse(meter).numerator % Meter.parse(meter).denominator == 0


@st.composite
def pieces(draw, grids=(1, 2, 3, 4, 4, 4, 6, 12), voices=2, pickups=False):
    """A score of one random piece: any key and metre, range, upbeat, rests, ties, empty voices."""
    grid = draw(st.sampled_from(grids))
    low = draw(st.integers(24, 96))
    task = Task(
        key=Key(draw(st.sampled_from(TONICS)), draw(st.sampled_from(sorted(SCALES)))),
        meter=draw(st.sampled_from([m for m in METERS if fits(m, grid)])),
        bars=draw(st.integers(1, 5)),
        low=low,
        high=draw(st.integers(low, 108)),
        grid=grid,
        voices=draw(st.integers(1, voices)),
    )
    if pickups:
        task = replace(task, pickup=draw(st.integers(0, task.bar_cells - 1)))
    event = st.tuples(
        st.integers(1, 3 * grid), st.none() | st.integers(task.low, task.high), st.booleans()
    )
    notes = []
    for voice in range(task.voices):
        cell = 0
        for length, pitch, again in draw(st.lists(event, max_size=30)):
            for _ in range(1 + again):  # the same pitch twice in a row is where ties go wrong
                stop = min(cell + length, task.cells)
                if pitch is not None and stop > cell:
                    notes.append(Note(cell, stop - cell, pitch, voice))
                cell = stop
    return score_of(notes, task)
