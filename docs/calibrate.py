"""How often real melodies break each rule, and whether the packs fit the styles they are named for.

    python docs/calibrate.py                 # prints the tables
    python docs/calibrate.py docs/rules.md   # writes them, and what each rule says of itself

A rule that most tunes of a style break says more about the rule than about the tunes, so it has no
place in the pack of that style unless the pack says why.

A tune that is long enough breaks every rule of single notes somewhere: nearly all tunes break
`leap_recovery`. So a tune counts as breaking a rule clearly only where its violation is more than
2 per 100 notes, CLEAR; of a rule that judges the whole piece once, a verdict, where it is more than
2 per cent of what it can be. A rule misfits a style if more than half of the tunes break
it clearly, on average of the style's corpora, so that a large one does not outvote a small one.
"""

from __future__ import annotations

import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from catalogue import words

from envs.contract import RewardFunction
from envs.music.key import MODE_FIFTHS, Key
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.reading.readers import from_music21
from envs.notation.text_line import score_from_text
from pretrained.corpora.folk import COLLECTIONS, collection_files, load_corpus, split_tunes
from pretrained.corpora.pieces import scores
from pretrained.corpora.tunes import GridTune, TuneError, read_tune
from pretrained.ngrams.judge import with_its_mode
from rewards.build import PACKS, build, pack_names, read_pack
from rewards.rule import REGISTRY, Rule, as_rule

ESSEN = "essenFolksong"
CHINESE = ("han1", "han2")
CLEAR = 0.02  # violation per note, or per piece for a verdict
MOST = 50.0  # per cent of the tunes that may break a rule of a pack clearly

# The cantus firmi of Fux, Gradus ad Parnassum (1725), by mode.
CANTUS_FIRMI = {
    "D dorian": "D4 F4 E4 D4 G4 F4 A4 G4 F4 E4 D4",
    "E phrygian": "E4 C4 D4 C4 A3 A4 G4 E4 F4 E4",
    "F lydian": "F3 G3 A3 F3 D3 E3 F3 C4 A3 F3 G3 F3",
    "G mixolydian": "G3 C4 B3 G3 C4 E4 D4 G4 E4 C4 D4 B3 A3 G3",
    "A minor": "A3 C4 B3 D4 C4 E4 F4 E4 D4 C4 B3 A3",
    "C major": "C4 E4 F4 G4 E4 A4 G4 E4 F4 E4 D4 C4",
}

Corpora = Mapping[str, Sequence[Score]]


# -- the melodies ----------------------------------------------------------------------------------


def corpora(every: int = 1) -> dict[str, list[Score]]:
    """Real melodies by name; those of music21 only where it is installed with its corpus.

    Args:
        every: use every n-th tune.
    """
    found = {}
    for name, book in COLLECTIONS.items():
        tunes = [tune for tune in load_corpus().tunes if tune.collection == name]
        found[book.split(",")[0]] = scores(tunes[::every])
    files = collection_files(ESSEN)
    chinese = [path for path in files if path.stem in CHINESE]
    european = [path for path in files if path.stem not in CHINESE]
    found["Essen, Europe"] = scores(_readable(european, every))
    found["Essen, China"] = scores(_readable(chinese, every))
    found["Bach, chorales"] = chorale_sopranos(every)
    found["Fux, cantus firmi"] = [
        score_from_text(" ".join(f"{note}:16" for note in line.split()), key=key)
        for key, line in CANTUS_FIRMI.items()
    ]
    return {name: pieces for name, pieces in found.items() if pieces}


def _readable(files: Sequence[Path], every: int) -> list[GridTune]:
    """The songs of ABC files that are on the grid, in minor where their thirds are."""
    songs = []
    for text in [text for path in files for text in split_tunes(path.read_text("utf-8"))][::every]:
        try:
            songs.append(with_its_mode(read_tune(text)))
        except TuneError:
            continue
    return songs


def chorale_sopranos(every: int = 1) -> list[Score]:
    """The sopranos of Bach's chorales in music21's corpus, those of one task together.

    A chorale's key has the signature of the file and as tonic the last note of the bass: as Bach
    writes many in minor with the signature of an older mode, these are in that mode. Chorales that
    change the metre are left out.

    Args:
        every: use every n-th chorale.
    """
    pages: dict[Task, list[Any]] = defaultdict(list)
    for chorale in _chorales(every):
        names = [str(part.partName or "") for part in chorale.parts]
        singers = [n for n, name in enumerate(names) if name.startswith("Soprano")]
        basses = [n for n, name in enumerate(names) if name == "Bass"]
        if len(names) == 4 and not any(names):  # in the order of a score
            singers, basses = [0], [3]
        if not singers or not basses:
            continue
        final = list(chorale.parts[basses[0]].flatten().notes)[-1].pitch.name.replace("-", "b")
        try:
            piece = from_music21(chorale, part=singers[0] + 1)
        except ValueError:
            continue
        key = key_of_final(piece.key, final)
        task = Task(key, piece.meter, piece.bars, grid=piece.grid, pickup=piece.pickup)
        pages[task].append(piece.score_for(task).tokens)
    return [Score(np.concatenate(rows), task) for task, rows in pages.items()]


def _chorales(every: int) -> Iterator[Any]:
    """music21's chorales in Riemenschneider's order, each once."""
    from music21 import corpus

    names = corpus.chorales.Iterator(numberingSystem="riemenschneider", returnType="filename")
    for name in list(dict.fromkeys(names))[::every]:
        try:
            # From the source: else it runs what is in a pickle, which anybody may have planted.
            yield corpus.parse(name, forceSource=True)
        except corpus.CorpusException:  # music21 without its corpus
            return


def key_of_final(key: Key, final: str) -> Key:
    """The church mode on a final that has a key's signature; the key itself if there is none."""
    modes = [Key(final, mode) for mode in MODE_FIFTHS if mode != "locrian"]
    return next((mode for mode in modes if mode.fifths == key.fifths), key)


# -- the rates -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rate:
    """How often a rule is broken.

    Attributes:
        pieces: per cent of the pieces that break it anywhere.
        notes: violation per 100 notes.
        clear: per cent of the pieces that break it clearly.
    """

    pieces: float
    notes: float
    clear: float


def rules() -> dict[str, Rule]:
    """Return the registered rules by name."""
    return {name: rule for name, rule in REGISTRY.items() if rule.violation}


def rates(
    pieces: Sequence[Score], fns: Mapping[str, RewardFunction] | None = None
) -> dict[str, Rate | None]:
    """Each rule's rate in some pieces; None where no piece has what the rule needs.

    Args:
        pieces: batches of finished pieces.
        fns: rules by their registered names; all of them as they are by default.
    """
    asked = rules() if fns is None else {name: as_rule(fn) for name, fn in fns.items()}
    sums: dict[str, list[Any]] = {name: [] for name in asked}
    counts: dict[str, list[Any]] = {name: [] for name in asked}
    for score in pieces:
        notes = score.onset.sum(axis=(1, 2))
        for name, rule in asked.items():
            if not rule.judges(score.task):
                continue
            value = np.broadcast_to(np.asarray(rule(score), np.float64), score.tokens.shape)
            sums[name].append(value.sum(axis=(1, 2)))
            counts[name].append(notes)
    return {
        name: _rate(np.concatenate(sums[name]), np.concatenate(counts[name]), rule.verdict)
        if sums[name]
        else None
        for name, rule in asked.items()
    }


def _rate(sums: Any, notes: Any, verdict: bool) -> Rate:
    """Of the violation (pieces,) and the notes (pieces,) of each piece."""
    chances = np.ones_like(notes) if verdict else np.maximum(notes, 1)
    clear = sums > CLEAR * chances
    return Rate(
        100 * float((sums > 0).mean()),
        100 * float(sums.sum()) / max(1, int(notes.sum())),
        100 * float(clear.mean()),
    )


def style(pack: str) -> tuple[list[str], dict[str, str]]:
    """The corpora of a pack's style, and of rules kept against them the reasons why."""
    with (PACKS / f"{pack}.toml").open("rb") as file:
        table = tomllib.load(file)
    return table.get("corpora", []), table.get("kept", {})


def pack_rates(pack: str, found: Corpora) -> dict[str, dict[str, Rate | None]]:
    """Corpus -> rule -> rate, for a pack's rules as it sets them and the corpora of its style."""
    fns = {name: term.rule for name, term in build(pack).terms.items()}
    return {name: rates(found[name], fns) for name in style(pack)[0] if name in found}


def clearly_broken(measured: Mapping[str, Mapping[str, Rate | None]]) -> dict[str, float | None]:
    """Per cent of the tunes that break each rule clearly, as mean of the corpora."""
    means: dict[str, float | None] = {}
    for rule in next(iter(measured.values()), {}):
        each = [rate.clear for of in measured.values() if (rate := of[rule]) is not None]
        means[rule] = float(np.mean(each)) if each else None
    return means


# -- the page --------------------------------------------------------------------------------------


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    head, *rows = lines
    table = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in table) + "\n"


def table(found: Corpora) -> str:
    """Markdown: a line for each rule, a column for each corpus."""
    measured = [rates(pieces) for pieces in found.values()]
    heads = [f"{name} ({sum(s.batch for s in pieces):,})" for name, pieces in found.items()]
    lines = [["rule", *heads]]
    for rule in [name for name, rule in rules().items() if rule.needs != "voices"]:
        each = [of[rule] for of in measured]
        told = ["-" if r is None else f"{r.pieces:.0f}% / {r.notes:.2g}" for r in each]
        lines.append([f"`{rule}`", *told])
    return _markdown(lines)


def pack_tables(found: Corpora) -> str:
    """Markdown: for each pack with a style its rules, and who breaks them clearly."""
    parts = []
    for pack in pack_names():
        named, kept = style(pack)
        measured = pack_rates(pack, found)
        if not named or measured.keys() != set(named):
            continue
        lines = [["rule", "set", *named, "mean"]]
        for rule, mean in clearly_broken(measured).items():
            each = [*(measured[name][rule] for name in named)]
            told = ["-" if rate is None else f"{rate.clear:.0f}%" for rate in each]
            lines.append([f"`{rule}`", setting(pack, rule), *told, percent(mean)])
        reasons = "".join(f"\n`{rule}` is kept: {reason}\n" for rule, reason in kept.items())
        parts.append(f"### {pack}\n\n{_markdown(lines)}{reasons}")
    return "\n".join(parts)


def percent(share: float | None) -> str:
    """'12%', or '-' for None."""
    return "-" if share is None else f"{share:.0f}%"


def setting(pack: str, rule: str) -> str:
    """A rule's parameters in a pack as they are written in a reward, without its weight."""
    set_to = read_pack(pack)[rule]
    params = dict(set_to) if isinstance(set_to, Mapping) else {}
    return ", ".join(f"{name}={value}" for name, value in params.items() if name != "weight")


def catalogue() -> str:
    """Return each rule's docstring and source, without the notes of the larger catalogue."""
    return "\n".join(f"{words(rule)}\n" for rule in rules().values())


INTRODUCTION = """# The rules, and how often real melodies break them

Made by `python docs/calibrate.py docs/rules.md`. In each column: per cent of the tunes that \
break the rule anywhere / violation per 100 notes; - where nothing is judged, as no tune comes \
with chords or a plan of phrases.

The books are the prior's corpus. The songs of Essen and the sopranos of Bach's chorales are read \
from the music21 that is installed, and do not ship. A chorale's key has the signature of the file \
and its last bass note as tonic, so many are in an old mode, to which raised leading notes are \
foreign, as they are not to minor.

Essen's files name a tonic, and most of its Chinese songs do not end on it, climb early and \
syncopate: rules of the tonic, of the summit and of the metre say more about Europe than about \
these songs. The pack `pentatonic` leaves most of them out.

"""
STYLES = f"""
## The packs and their styles

A rule that most tunes of a style break has no place in the pack of that style. A tune of some \
length breaks every rule of single notes somewhere, so both figures above count. A tune breaks a \
rule *clearly* if its violation is more than {100 * CLEAR:g} per 100 notes; a rule that judges the \
whole piece once, if it is more than {CLEAR:.0%} of a whole violation. A rule that more than \
{MOST:g}% of the tunes break clearly, as mean of the corpora of the style, is left out or set more \
gently, or the pack gives the reason why it is kept, which a test checks. In each column: per cent \
of the tunes that break the rule clearly as the pack sets it. `rl_tuner` and `student_strict` are \
of no style.

"""


def main() -> None:
    """Command line."""
    found = corpora()
    tables = table(found) + STYLES + pack_tables(found)
    if len(sys.argv) < 2:
        print(tables)
        return
    Path(sys.argv[1]).write_text(f"{INTRODUCTION}{tables}\n## The rules\n\n{catalogue()}")


if __name__ == "__main__":
    main()
