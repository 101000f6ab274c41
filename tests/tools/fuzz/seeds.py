"""Seeds of fuzzing: files of our own writers and of music21's corpus, and lines of text."""

from __future__ import annotations

import io
import re
import zipfile
from functools import cache
from pathlib import Path

from envs.music.score import Score
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.midi import midi_bytes
from envs.notation.writing.musicxml import musicxml

SMALL_FILES = ("theoryExercises/TriadExercise.mxl", "bach/bwv165.6.mxl", "bach/bwv66.6.mxl")
CONTAINER = '<container><rootfiles><rootfile full-path="{}"/></rootfiles></container>'


@cache
def scores() -> tuple[Score, ...]:
    """Small pieces of several metres, keys and voices."""
    return (
        score_from_text("C4 A4:2 F#4:6 r G4", "D major"),
        score_from_text("A4:6 B4:6 ; E3:12", "A minor", "6/8"),
        score_from_text("Eb4:3 F4:3 G4:6 Bb4:3 r:3", "Eb dorian", "3/4", 3),
        score_from_text("C4:2 D4 E4:10 r:3 G5:1 C3:16 B4:7", "C blues", "2+2+3/8"),
        score_from_text("C4:2 D4 E4:10 r:4 F4:14", "G", "3+2+2/8"),
    )


@cache
def corpus() -> Path:
    """Folder of music21's corpus."""
    from music21 import common

    return Path(common.getCorpusFilePath())


def midi() -> list[bytes]:
    """MIDI files, one of each kind that our writer does not write."""
    written = [midi_bytes(score) for score in scores()]
    running = b"\x00\x90\x3c\x50\x83\x60\x3c\x00\x00\x3e\x50\x83\x60\x3e\x00\x00\xff\x2f\x00"
    upbeat = b"\x00\xff\x58\x04\x01\x02\x18\x08\x83\x60\xff\x58\x04\x04\x02\x18\x08" + running
    signs = b"\x00\xff\x51\x03\x07\xa1\x20\x00\xff\x59\x02\xfd\x01\x00\xc0\x05\x00\xb0\x40\x7f"
    system = b"\x00\xf0\x03\x01\x02\xf7\x00\xff\x03\x04Name\x00\xe0\x00\x40" + running
    return [
        *written,
        midi_file([running], form=0),
        midi_file([upbeat, running]),
        midi_file([signs + running, system], division=96),
        midi_file([running], form=0, division=0xE728),  # frames
    ]


def midi_file(
    tracks: list[bytes], form: int = 1, division: int = 480, count: int | None = None
) -> bytes:
    """A MIDI file of raw tracks; `count` is how many it says it has."""
    said = len(tracks) if count is None else count
    head = b"MThd" + b"".join(n.to_bytes(s, "big") for n, s in
                              ((6, 4), (form, 2), (said, 2), (division, 2)))  # fmt: skip
    return head + b"".join(b"MTrk" + len(track).to_bytes(4, "big") + track for track in tracks)


def xml() -> list[bytes]:
    """MusicXML documents."""
    packed = [zipfile.ZipFile(corpus() / name) for name in SMALL_FILES]
    members = [next(n for n in file.namelist() if not n.startswith("META")) for file in packed]
    whole = [file.read(member) for file, member in zip(packed, members, strict=True)]
    # Of each part the first three bars: small inputs are changed where it matters.
    later = re.compile(rb'<measure number="(?:[4-9]|\d\d)".*?</measure>', re.DOTALL)
    foreign = [later.sub(b"", document) for document in whole]
    return [*(musicxml(score, title="Ein Lied").encode() for score in scores()), *foreign]


def mxl() -> list[bytes]:
    """Compressed MusicXML."""
    own = [CONTAINER.format("s.xml").encode() + b"\x00" + xml()[0], packed_score(xml()[1])]
    return [*own, *((corpus() / name).read_bytes() for name in SMALL_FILES)]


def packed_score(score: bytes | str, name: str = "s.xml", container: bytes | str = "") -> bytes:
    """An .mxl archive."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("META-INF/container.xml", container or CONTAINER.format(name))
        archive.writestr(name, score)
    return file.getvalue()


def tunes() -> list[bytes]:
    """ABC tunes."""
    folders = {"airdsAirs/book1.abc": 3, "oneills1850/0001-0050.abc": 3, "ryansMammoth": 0}
    found = [abc(score, title="A tune") for score in scores()]
    for name, count in folders.items():
        path = corpus() / name
        if path.is_file():
            found += re.split(r"(?m)^(?=X:)", path.read_text("utf-8"))[1 : 1 + count]
    return [tune.encode() for tune in found]


KERN = """**kern\t**text\t**kern
*clefF4\t*\t*clefG2
*I"Bass\t*\t*I"Voice
*k[f#]\t*\t*k[f#]
*G:\t*\t*G:
*M3/4\t*\t*M3/4
*MM96\t*\t*MM96
*>[A,A1,A,A2]\t*\t*>[A,A1,A,A2]
*>norep[A,A2]\t*\t*>norep[A,A2]
4GG\tla\t4g
=1\t=1\t=1
*>A\t*\t*>A
*^\t*\t*
2.G\t4r\tla\t[4b
.\t2BB\t.\t8b]
.\t.\t.\t8.cc#
.\t.\t.\t16dd-
.\t.\tq\t8qee
.\t.\tle\t4ff 4aa
*v\t*v\t*\t*
=2:|!\t=2\t=2:|!
*>A1\t*\t*>A1
2.G\t.\t12a
.\t.\t12b
.\t.\t12cc
.\t.\t2r
=3\t=3\t=3
*>A2\t*\t*>A2
2GG\t.\t2g;
==\t==\t==
*-\t*-\t*-
"""


def kern() -> list[bytes]:
    """Files of kern: of our own, and the first lines of some of the corpus."""
    line = "**kern\n*M{}\n*k[]\n=1\n{}\n=2\n{}\n==\n*-\n"
    tunes = [
        line.format("4/4", "4c\n4d\n4e\n4f", "4g\n8a\n8b\n2cc"),
        line.format("6/8", "4.c\n8d\n8e\n8f", "2.G") + line.format("2/2", "1C", "0CC"),
        line.format("4/4", "*^\n2c\t1E\n2d\t.\n*v\t*v", "*+\n*\t**text\n1c\tx\n*\t*-"),
    ]
    found = [KERN, *tunes]
    for path in sorted(corpus().rglob("*.krn"))[:3]:
        found.append("\n".join(path.read_text("latin-1").splitlines()[:60]) + "\n")
    return [tune.encode() for tune in found]


def checkpoints() -> list[bytes]:
    """Checkpoints of tiny networks."""
    import tempfile

    import torch

    from envs.music.codec import Codec
    from pretrained import checkpoint
    from pretrained.networks.recurrent import NetShape, RecurrentNet

    torch.manual_seed(0)
    made = []
    for shape, codec in (
        (NetShape(14, hidden=2, embed=2), Codec(60, 71)),
        (NetShape(14, hidden=2, embed=2, lookback=1, places=6), Codec(60, 71, 2)),
    ):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "x.safetensors"
            checkpoint.save(path, RecurrentNet(shape), codec, {"made": "for tests"})
            made.append(path.read_bytes())
    return made


def configs() -> list[bytes]:
    """Settings as TOML."""
    from agents.settings.config import TrainConfig, to_toml
    from agents.settings.presets import PRESETS

    own = b"""n_timesteps = 1000
algo = "rloo"
mask = ["key"]
task = { bars = 4, meter = "3/4", given = [[2, 1], [0, 1]] }
[reward]
prior = 1.0
in_key = 2.0
leap_recovery = { weight = 2.0, min_leap = 7 }
"my_rewards.py:smooth" = -0.3
"""
    ships = [path.read_bytes() for path in sorted(PRESETS.glob("*.toml"))[:3]]
    return [to_toml(TrainConfig()).encode(), own, *ships]


LINES = {
    "key": ["C", "A minor", "F# dorian", "Bb blues", "C 0,2,3,7,8", "G natural minor"],
    "meter": ["4/4", "6/8", "3+2+2/8", "7/8", "12/16", "2/2"],
    "range": ["C3-B5", "C-1-G9", "F#3-Bb5", "C4", "bb-1"],
    "chords": ["i VII i v", "C | F G7 | C", "Dm7 G7/B Cmaj7 F#dim", "bVII V7 vii I7"],
    "phrases": ["AABA", "4+4", "A4 A4 B8", "AA'BA''", "16"],
    "notes": ["C4 A4:2 r:4 G4", "C4:2 r E4 ; F#3:6 Bb5", "C-1:1 G9 r", "c4:12 r:999999"],
    "term": ["rl_tuner=0.5", "leap_recovery=0.5,min_leap=7", "a.py:f=-1e3,x=[1,2]", "key", "c=nan"],
}


def lines(kind: str) -> list[bytes]:
    """Short texts of one kind."""
    return [line.encode() for line in LINES[kind]]
