"""The rhythm of the five species of counterpoint: where notes begin against a note a bar."""

from __future__ import annotations

from envs.music.task import Task

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
