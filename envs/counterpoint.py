"""Counterpoint as an MDP: a cantus firmus is given in one voice, and the agent writes the other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from envs.composition import CompositionEnv, CompositionVectorEnv
from envs.music.codec import UNWRITTEN
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.voices.cantus import cantus_row, drawn_firmi
from envs.music.voices.species import require_species


class CounterpointVectorEnv(CompositionVectorEnv):
    """Many counterpoints written at once, each to a cantus firmus that is drawn at its reset.

    Args:
        num_envs: number of pieces.
        species: 1 to 5, of the pack that is the reward if none is given.
        above: True if the agent writes the higher voice.
        drawn: False to have `given` in every piece, whatever it is.
        reward, render_mode, autoreset_mode: see `CompositionVectorEnv`.
        **task: fields of Task, of two voices. A cantus firmus of one's own is `given`, in every
            piece; otherwise the page has 11 bars, and `task.given` is the first of those drawn,
            which stands for all of them.

    Raises:
        TypeError, ValueError: as `CompositionVectorEnv`, a pickup, a task in which none of those
            drawn lies and none is given, or a given one that is not in its voice.
    """

    draws_given = True  # given cells have other tokens in each piece than the task's

    def __init__(
        self,
        num_envs: int = 1,
        *,
        species: int = 1,
        above: bool = True,
        drawn: bool = True,
        **arguments: Any,
    ) -> None:
        require_species(species)
        if arguments.get("reward") is None:
            arguments["reward"] = f"fux_species_{species}"
        super().__init__(num_envs, **arguments)
        if self.task.voices != 2:
            raise ValueError(f"voices={self.task.voices}: counterpoint has two")
        if self.task.pickup:
            raise ValueError(
                f"pickup={self.task.pickup}: a cantus firmus has a note in each bar; leave it out"
            )
        self.voice = 1 if above else 0  # of the cantus firmus
        own = self.task.given
        if own and UNWRITTEN in own[self.voice]:
            raise ValueError(
                f"given: voice {self.voice + 1} is the cantus firmus with above={above}, and has "
                "free cells; give all of it, or change above"
            )
        if not (own or drawn):
            raise ValueError("drawn=False: expected a cantus firmus of one's own (given=)")
        self.pages = self._drawn(bool(own)) if drawn else np.zeros((0, 2, self.task.cells))
        first = tuple(map(tuple, self.pages[0].tolist())) if len(self.pages) else ()
        if own and own != first:  # the same in every piece
            self.pages = np.array([own], np.int16)
        else:
            self.task = replace(self.task, given=first)
        self.score = self._page()

    def _drawn(self, own: bool) -> Array:
        """Return the pages (N, 2, T) that are drawn; none is needed where one's own is given."""
        rows = np.full((0, 2, self.task.cells), UNWRITTEN, np.int16)
        try:
            firmi = drawn_firmi(self.task.key, *self.task.spans[self.voice])
        except ValueError:
            if own:
                return rows
            raise
        if len(firmi[0]) == self.task.bars:
            rows = np.full((len(firmi), 2, self.task.cells), UNWRITTEN, np.int16)
            rows[:, self.voice] = [cantus_row(pitches, self.task) for pitches in firmi]
        elif not own:
            raise ValueError(
                f"bars={self.task.bars}: the cantus firmi that are drawn have {len(firmi[0])}; "
                "expected as many, or one of your own (given=)"
            )
        return rows

    def _page(self) -> Score:
        pages = getattr(self, "pages", None)
        if pages is None:  # not made yet
            return super()._page()
        chosen = self.np_random.integers(len(pages), size=self.num_envs)
        return Score(pages[chosen], self.task, written=0)


class CounterpointEnv(CompositionEnv):
    """A counterpoint to a cantus firmus, written cell by cell.

    ## Description
    As `CompositionEnv`, with two voices. One has a cantus firmus, a note in each bar, drawn at each
    reset from 40 that keep the rules of a cantus firmus in every mode; the agent writes the other.

    ## Rewards
    The pack `fux_species_N` of the species.

    ## Starting State
    The cantus firmus is given: its cells show in the observation from the beginning on.

    ## Arguments
    `species` (1 to 5), `above` (True: the agent writes the higher voice), `reward`, `render_mode`
    and the task; `key` is the mode, `ranges` the voices' ranges, and `given` a cantus firmus of
    one's own in place of those drawn. The first of those drawn stands for all of them, unless
    `drawn` is False.

    Raises:
        TypeError, ValueError: as `CounterpointVectorEnv`.
    """

    vector = CounterpointVectorEnv
    draws_given = True

    def __init__(self, *, reward: Any = None, **arguments: Any) -> None:
        super().__init__(reward=reward, **arguments)
