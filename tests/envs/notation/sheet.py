"""Music as it stands on paper: full bars of symbols, and of MusicXML, read element by element."""

import xml.etree.ElementTree as ET
from fractions import Fraction
from itertools import pairwise

from envs.music.piece import Piece
from envs.music.score import Score
from envs.notation.writing.symbols import bars_of

SIGNS = {"flat-flat": -2, "flat": -1, "natural": 0, "sharp": 1, "double-sharp": 2}
STEPS = dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))
SHARPS = "FCGDAEB"


def check_bars(score: Score, voice: int = 0) -> None:
    """Symbols fill each bar of a voice, with lengths that notation has."""
    task = score.task
    edges = pairwise([*task.bar_lines, task.cells])
    for bar, (cell, end) in zip(bars_of(score, 0, voice), edges, strict=True):
        for symbol in bar:
            assert symbol.start == cell
            cell += symbol.cells
            squeeze = Fraction(*symbol.tuplet[:0:-1]) if symbol.tuplet else 1
            assert symbol.written * squeeze == Fraction(symbol.cells, task.grid)
            whole_bar_rest = symbol.pitch is None and symbol.cells == task.bar_cells
            odd = symbol.written.numerator
            while odd % 2 == 0:
                odd //= 2
            assert odd in (1, 3) or whole_bar_rest
            assert symbol.written.denominator & (symbol.written.denominator - 1) == 0
        assert cell == end


def read_sheet(document: str, piece: Piece) -> list[list[tuple[Fraction, Fraction, int]]]:
    """The notes of each voice in cells; the bars must be full, tuplets closed and signs right."""
    voices = []
    for part in ET.fromstring(document).findall("part"):
        unit = Fraction(piece.grid, int(part.findtext(".//divisions")))
        check_order(part)
        for _, bars in sorted(staves_in(part, unit).items()):
            check_signs(part, bars)
            labels = sorted({note.findtext("voice", "") for bar in bars for _, note in bar})
            check_stems(bars, labels)
            for label in labels:
                own = [
                    [each for each in bar if each[1].findtext("voice", "") == label] for bar in bars
                ]
                check_beams(own)
                voices.append(read_voice(own, unit, piece))
    return voices


def staves_in(
    part: ET.Element, unit: Fraction
) -> dict[int, list[list[tuple[Fraction, ET.Element]]]]:
    """Each bar of each staff: its notes and rests with the cell at which they begin."""
    bars: dict[int, list[list[tuple[Fraction, ET.Element]]]] = {}
    start = Fraction(0)
    for number, bar in enumerate(part.findall("measure")):
        now = end = start
        for element in bar:
            length = unit * int(element.findtext("duration") or 0)
            if element.tag == "note":
                staff = bars.setdefault(int(element.findtext("staff") or 1), [])
                staff += [[] for _ in range(number + 1 - len(staff))]
                staff[number].append((now, element))
            now += -length if element.tag == "backup" else length
            assert now >= start
            end = max(end, now)
        assert now == end, "the last voice does not fill the bar"
        start = end
    return bars


def read_voice(
    bars: list[list[tuple[Fraction, ET.Element]]], unit: Fraction, piece: Piece
) -> list[tuple[Fraction, Fraction, int]]:
    """The notes of a voice in cells, tied notes as one."""
    now, notes, held = Fraction(0), [], None
    for bar, line in zip(bars, piece.task.bar_lines, strict=True):
        assert now == line
        for start, note in bar:
            assert start == now
            length = unit * int(note.findtext("duration"))
            ties = {tie.get("type") for tie in note.findall("tie")}
            pitch = sounding_pitch(note.find("pitch"))
            if "stop" in ties:
                assert held == pitch
                notes[-1] = (notes[-1][0], now + length, pitch)
            elif pitch is not None:
                notes.append((now, now + length, pitch))
            held = pitch if "start" in ties else None
            now += length
    assert now == piece.task.cells
    assert held is None
    return notes


ORDERS = {  # of the MusicXML 4.0 schema
    "note": "chord pitch unpitched rest duration tie instrument voice type dot accidental "
    "time-modification stem notehead staff beam notations lyric",
    "direction": "direction-type offset voice staff sound",
    "harmony": "root numeral function kind inversion bass degree frame offset staff",
    "attributes": "divisions key time staves part-symbol instruments clef",
}


def check_order(part: ET.Element) -> None:
    """The children of each element stand in the order of the schema."""
    for name, order in ORDERS.items():
        for element in part.iter(name):
            places = [order.split().index(child.tag) for child in element]
            assert places == sorted(places), name


def check_stems(bars: list[list[tuple[Fraction, ET.Element]]], labels: list[str]) -> None:
    """Of two voices on a staff the stems of the first go up, those of the second down."""
    for _, note in (each for bar in bars for each in bar):
        ways = {"up", "down"} if len(labels) > 1 else {"up", "down", None}
        if note.find("pitch") is not None:
            assert note.findtext("stem") in ways
            if len(labels) > 1:
                own = labels.index(note.findtext("voice"))
                assert note.findtext("stem") == ("up", "down")[own]


def sounding_pitch(pitch: ET.Element | None) -> int | None:
    """The MIDI number of a note, None of a rest."""
    if pitch is None:
        return None
    octave, alter = int(pitch.findtext("octave")), int(pitch.findtext("alter") or 0)
    return 12 * (octave + 1) + STEPS[pitch.findtext("step")] + alter


def check_beams(bars: list[list[tuple[Fraction, ET.Element]]]) -> None:
    """Follow each beam of a voice from its first note to its last, over notes with enough flags."""
    flags = {"eighth": 1, "16th": 2, "32nd": 3, "64th": 4, "128th": 5, "256th": 6}
    for bar in bars:
        open_beams: set[int] = set()
        for _, note in bar:
            beams = {int(beam.get("number")): beam.text for beam in note.findall("beam")}
            assert not beams or len(beams) == flags[note.findtext("type")]
            assert open_beams <= beams.keys()
            for level, kind in beams.items():
                assert (level in open_beams) == (kind in ("continue", "end"))
            open_beams |= {level for level, kind in beams.items() if kind == "begin"}
            open_beams -= {level for level, kind in beams.items() if kind == "end"}
        assert not open_beams


def check_signs(part: ET.Element, bars: list[list[tuple[Fraction, ET.Element]]]) -> None:
    """Read every sign as players do: it holds to the end of the bar, for its place on the staff."""
    fifths = int(part.findtext(".//fifths"))
    signature = dict.fromkeys(SHARPS, 0)
    for step in SHARPS[:fifths] if fifths >= 0 else SHARPS[fifths:]:
        signature[step] = 1 if fifths > 0 else -1
    earlier: dict[tuple[str, str], int] = {}
    for bar in bars:
        read, held = {}, {}
        for _, note in sorted(bar, key=lambda each: each[0]):
            pitch, sign = note.find("pitch"), note.findtext("accidental")
            if pitch is None:
                continue
            step, alter = pitch.findtext("step"), int(pitch.findtext("alter") or 0)
            place = step, pitch.findtext("octave")
            if any(tie.get("type") == "stop" for tie in note.findall("tie")):
                assert sign is None, "a sign behind a tie"
                held[place] = alter
                continue
            if sign is None:
                assert read.get(place, signature[step]) == alter, "a sign is missing"
            else:
                assert SIGNS[sign] == alter
                assert place not in read or read[place] != alter, "a sign is repeated"
                around = [*read.items(), *held.items(), *earlier.items()]
                courtesy = any(other[0] == step and was != alter for other, was in around)
                assert courtesy or alter != signature[step], "a sign is needless"
            read[place] = alter
        earlier = held | read
