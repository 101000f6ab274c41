"""The rhythm of the five species of counterpoint: where notes begin against a note a bar."""

from __future__ import annotations

import numpy as np

from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task

STEP = 2  # semitones, the largest
SPECIES = (1, 2, 3, 4, 5)


def require_species(species: int) -> None:
    """Raise ValueError unless there is a species of this number."""
    if species not in SPECIES or isinstance(species, bool):
        raise ValueError(f"species={species}: expected 1 to 5")


def due(task: Task, cell: int, species: int) -> tuple[bool, bool]:
    """Return whether a note must begin at a time index in a species, and whether it may."""
    place = task.place_in_bar(cell)
    level = task.meter.levels(task.grid)[place]
    bars_left = task.bars - 1 - (cell - task.pickup) // task.bar_cells
    if bars_left <= 0 or species == 1:
        return place == 0, place == 0
    if species == 2 and bars_left == 1:
        return place == 0, level < species
    if species == 4:
        return level == 1, level <= 1
    if species == 5:
        return False, place % max(task.beat_cells // (3 if task.meter.compound else 2), 1) == 0
    return level < species, level < species


def leaves_florid(here: Score) -> Array:
    """Return True where a voice leaves the rhythm of the fifth species, see `species_rhythm`."""
    task, place = here.task, here.cell_in_bar
    beat, bar = task.beat_cells, task.bar_cells
    half = max(beat // 2, 1)
    levels = np.array(task.meter.levels(task.grid))
    known, began = here.previous_onset >= 0, np.maximum(here.previous_onset, 0)
    age, origin = here.cell - began, (began - task.pickup) % bar
    held = known & ~here.onset & (here.sounding >= 0)
    ties = (place == 0) & (levels[origin] == 1)
    syncopes = (here.level < levels[origin]) & ~ties
    # What is tied lasts at most twice what it lasts before the bar line; a whole bar is not tied.
    long = age == np.where(origin == 0, bar, 2 * (bar - origin))
    weak = levels[place - half] == levels[:bar:beat].max()
    came, comes = here.prev("interval"), here.interval
    steps, stepped = ((move != 0) & (np.abs(move) <= STEP) for move in (comes, came))
    simple = not task.meter.compound
    second = here.onset & (place % beat == half) & simple
    paired = known & (age == half) & weak & steps & stepped
    leaps_off = here.onset & known & (age == half) & (origin % beat == half) & ~steps & simple
    found: Array = (held & (syncopes | long)) | (second & ~paired) | leaps_off
    return found
