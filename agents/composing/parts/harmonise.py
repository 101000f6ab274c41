"""Harmonisation: the voices of a choir around those that are given.

The given voices stay as they are. What is written keeps the rules of HARD, the range of each voice,
and, where chords are given, has a note of the chord wherever one begins on a strong place; without
chords it begins and ends on the tonic if it can. Other rules of four-part writing rank what is
found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from agents.composing.composer import Composer
from agents.composing.parts import tonic_ends
from agents.composing.parts.harmoniser import AUTO
from agents.composing.parts.plain import NAME, PlainChoir
from agents.composing.request import ASKED, Request
from envs.errors import did_you_mean, quoted
from envs.music.codec import UNWRITTEN, Note
from envs.music.key import C_MAJOR
from envs.music.piece import Piece
from envs.music.pitch import CHOIR, parse_range
from envs.music.score import Score
from envs.music.tape import Array
from envs.music.task import Task
from envs.notation.reading.readers import read_piece
from pretrained.corpora.chorales import RANGES, VOICES
from rewards.build import find
from rewards.remarks import remarks
from rewards.rule import Rule
from rewards.rules.harmony import chord_tones

LETTERS = "SATB"
# Rules that every harmonisation keeps, unless they are allowed to be broken.
HARD = (
    "parallel_fifths",
    "parallel_octaves",
    "voice_crossing",
    "doubled_leading_note",
    "unresolved_leading_note",
    "unresolved_seventh",
)
KEPT = (*HARD, tonic_ends.NAME)  # those and the chords at the ends, see `tonic_ends`
RANKS = {"satb_common_practice": 1.0, "prior": 0.05}  # the reward that chooses among candidates
CHANGES = ("key", "chords", "phrases")  # fields of the task that may be said of a given voice


def _free_chord_tones(score: Score, *, strong: int = 1) -> Array:
    """Return the violation of `chord_tones` in the cells that are not given."""
    free: Array = score.task.free[score.voice, score.cell]
    return np.where(free, chord_tones(score, strong=strong), 0).astype(np.float32)


CHORDS = Rule(
    "--chords",
    _free_chord_tones,
    says=find("chord_tones").says,
    source=find("chord_tones").source,
    cellwise=True,
    violation=True,
    needs="chords",
    defaults=find("chord_tones").defaults,
)


@dataclass(frozen=True)
class Harmonisation:
    """Voices of a piece that are given to a choir, which is to sing the others.

    Attributes:
        piece: with the given voices.
        given: their names, of VOICES, from the highest; as many as the piece has voices, or some of
            its voices if it has as many as the choir.
        voices: first letters of the choir's voices, from the highest: SATB, SAB, SB.
        allow: rules of KEPT that may be broken; those of HARD are weighed only.
        changes: key, chords and phrases of the task, in place of the piece's own; chords="auto"
            leaves its chord symbols aside.
        source: name of the piece in messages.

    Raises:
        ValueError: the voices are not the choir's, nothing is left to write, a given note is out of
            its voice's range, or the given voices break a rule of HARD among themselves.
    """

    piece: Piece
    given: Sequence[str] = ("soprano",)
    voices: str = LETTERS
    allow: Sequence[str] = ()
    changes: Mapping[str, Any] | None = None
    source: str = "the given voice"

    def __post_init__(self) -> None:
        known = "".join(letter for letter in LETTERS if letter in self.voices)
        if self.voices != known or len(known) < 2:
            raise ValueError(
                f"voices={quoted(self.voices)}: expected two or more letters of {LETTERS} in that "
                "order, such as SATB or SAB"
            )
        for name in self.allow:
            if name not in KEPT:
                raise ValueError(
                    f"allow={quoted(name)}.{did_you_mean(name, KEPT)} Expected some of "
                    f"{', '.join(KEPT)}"
                )
        for name in self.changes or {}:
            if name not in CHANGES:
                raise ValueError(
                    f"{name} is that of {self.source}; leave it out (expected changes of "
                    f"{', '.join(CHANGES)})"
                )
        self._check_given()
        self._check_rules()

    @classmethod
    def read(
        cls,
        file: str,
        given: Sequence[str] = ("soprano",),
        voices: str = LETTERS,
        allow: Sequence[str] = (),
        changes: Mapping[str, Any] | None = None,
        **known: Any,
    ) -> Harmonisation:
        """Read a file, or a part of it such as "book.abc#7:1-8".

        Args:
            file: its path.
            given, voices, allow, changes: see the class. A key is that of the reading, too.
            known: as `read_piece` takes it, such as part=2, voice=1 or top=True.

        Raises:
            RefusedError: a file that cannot be read.
            ValueError: as the class.
        """
        key = (changes or {}).get("key")
        piece = read_piece(file, **known, **({"key": key} if key else {}))
        return cls(piece, given, voices, allow, changes, file)

    # -- the choir ---------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the choir's voices, from the highest."""
        return tuple(name for name in VOICES if name[0].upper() in self.voices)

    @cached_property
    def lines(self) -> dict[int, list[Note]]:
        """Notes of each given voice, by its number in the choir."""
        numbers = [self.names.index(name) for name in self.given]
        whole = self.piece.voices == len(self.names)
        rows = numbers if whole else range(len(numbers))
        return {
            number: [note for note in self.piece.notes if note.voice == row]
            for number, row in zip(numbers, rows, strict=True)
        }

    @cached_property
    def task(self) -> Task:
        """The choir's task, in which the given voices are given."""
        changes = {"chords": self.piece.chords, **(self.changes or {})}
        if changes["chords"] == AUTO:
            changes["chords"] = ""
        free = replace(
            self.piece.task,
            **changes,
            low=Task.low,
            high=Task.high,
            voices=len(self.names),
            ranges=" ".join(self._range(name) for name in self.names),
            given=(),
        )
        page = np.full((free.voices, free.cells), UNWRITTEN)
        for number, notes in self.lines.items():
            page[number] = free.codec.encode(notes, free.cells)
        return replace(free, given=tuple(map(tuple, page.tolist())))

    def _range(self, name: str) -> str:
        """Return the range of a voice: as in Bach's chorales if it is given, else as taught."""
        if name not in self.given:
            return "-".join(CHOIR[name[0].upper()])
        return "-".join(map(C_MAJOR.pitch_name, RANGES[VOICES.index(name)]))

    # -- what stands in the way --------------------------------------------------------------------

    def _check_given(self) -> None:
        count, names = self.piece.voices, self.names
        for name in self.given:
            if name not in names:
                raise ValueError(
                    f"given voice {quoted(name)}.{did_you_mean(name, names)} Expected one of "
                    f"{', '.join(names)}"
                )
        if sorted(set(self.given), key=names.index) != list(self.given):
            raise ValueError(
                f"given voices {', '.join(self.given)}: name each once, from the highest to the "
                "lowest (given=, --given-voice)"
            )
        if len(self.given) >= len(names):
            raise ValueError(
                f"every voice of {self.voices} is given, nothing is left to write; give fewer "
                "(given=, --given-voice), or ask for more (voices=, --voices)"
            )
        if count not in (len(self.given), len(names)):
            raise ValueError(
                f"{self.source} has {count} voices, and {len(self.given)} are given "
                f"({', '.join(self.given)}); name as many (given=, --given-voice), or choose one "
                "of the file (part=, voice=; --part, --voice)"
            )
        for number, notes in self.lines.items():
            if not notes:
                raise ValueError(
                    f"the {names[number]} of {self.source} has no notes; expected a melody"
                )
            low, high = parse_range(self._range(names[number]))
            for note in notes:
                if not low <= note.pitch <= high:
                    raise ValueError(self._beyond(names[number], note, notes, low, high))

    def _beyond(self, name: str, note: Note, notes: list[Note], low: int, high: int) -> str:
        """Return the message about a note that is out of range."""
        task, spell = self.piece.task, self.piece.key.pitch_name
        bar = (note.start - task.pickup) // task.bar_cells + 1
        pitches = [each.pitch for each in notes]
        least, most = low - min(pitches), high - max(pitches)
        move = least if least > 0 else most
        fits = f"; transpose it by {move:+d} semitones" if least <= move <= most else ""
        return (
            f"{spell(note.pitch)} in bar {bar} of {self.source} is out of the range of a {name}, "
            f"{spell(low)} to {spell(high)}{fits}, or say which voice it is (--given-voice)"
        )

    def _check_rules(self) -> None:
        """Raise ValueError if the given voices break a rule that is to be kept, among themselves.

        Only rules that look at two voices alone can be asked before the others are written.
        """
        page = np.where(self.task.page == UNWRITTEN, 0, self.task.page)
        score = Score(page[None], self.task)
        for name in self.must:
            rule = find(name)
            found = remarks(rule, score) if rule.alone else []
            if found:
                raise ValueError(
                    f"the given voices break {name} by themselves: {found[0]}; give fewer of them, "
                    f"or allow it (allow=['{name}'], --allow {name})"
                )

    # -- the request -------------------------------------------------------------------------------

    @property
    def must(self) -> tuple[str, ...]:
        """Rules of HARD that every harmonisation keeps."""
        return tuple(name for name in HARD if name not in self.allow)

    def request(self, **keywords: Any) -> Request:
        """Return the request for it, with further keywords of `Request`, such as n or seed.

        Chords, those of the file too, are kept unless `wish` has them. The ends are on the tonic
        where the chords do not say otherwise.

        Raises:
            ValueError, TypeError: as `Request`; a wish that is no demand without it.
        """
        wish = keywords.pop("wish", ())
        for name in Request(wish=wish).wish:
            if name != "chords" or not self.task.chords:
                raise ValueError(
                    f"{name} has no effect as a wish (wish=, --wish): of key, chords and phrases "
                    "only chords that are given are kept in a harmonisation; leave it out"
                )
        must = (*self.must, *keywords.pop("must", ()))
        ends = None if tonic_ends.NAME in self.allow else tonic_ends.tonic_ends(self.task)
        if self.task.chords and "chords" not in wish:
            must = (*must, CHORDS)
        if ends is not None:
            must = (*must, ends)
        request = Request(task=self.task, must=must, wish=ASKED, method="prior", **keywords)
        request.piece = self.piece
        return request

    @property
    def notices(self) -> tuple[str, ...]:
        """Remarks on how the file was read."""
        return tuple(self.piece.notices)

    def composer(self, prior: Any = "", reward: Any = None) -> Composer:
        """Return the composer, see `choir`."""
        return choir(prior, reward)


def choir(prior: Any = "", reward: Any = None) -> Composer:
    """Return a composer of a style.

    Args:
        prior: from which voices are drawn: "chorale" for Bach's chorales, as they were learned on
            this machine, the path of a checkpoint, or a prior; `PlainChoir` if "plain" or empty.
        reward: by which harmonisations are ranked; the rules of four-part writing if None.
    """
    if not prior or prior == NAME:
        return Composer(PlainChoir(), reward or {"satb_common_practice": 1.0})
    return Composer(prior, reward or RANKS)
