"""The sound of a piece: length, loudness and pitch."""

import io
import math
import os
import shutil
import wave

import numpy as np
import pytest

from envs.music.piece import notes_of
from envs.notation.text_line import score_from_text
from envs.notation.writing.sound import PEAK, RATE, TAIL, cell_seconds, synthesise, wav_bytes

PIECE = "C4 E4:8 G#4 r C6:6 A2:8 F#5:6"


def samples(data: bytes) -> tuple[np.ndarray, int]:
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2"), file.getframerate()


def heard(sound: np.ndarray, rate: int) -> float:
    """The strongest frequency, between the lines of the spectrum by a parabola."""
    size = 8 * len(sound)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), size))
    top = int(spectrum.argmax())
    left, middle, right = np.log(spectrum[top - 1 : top + 2])
    return (top + 0.5 * (left - right) / (left - 2 * middle + right)) * rate / size


@pytest.mark.parametrize("rate", [RATE, RATE // 2])
@pytest.mark.parametrize("line", [PIECE, "C2:4 C7:4 E3:8"])
def test_every_note_sounds_at_its_pitch(line, rate):
    score = score_from_text(line)
    sound, found = samples(wav_bytes(score, tempo=60, rate=rate))
    assert found == rate
    cell = cell_seconds(score, 60)
    for note in notes_of(score, 0):
        start, end = (round(at * cell * rate) for at in (note.start, note.start + note.duration))
        start += round(0.1 * rate)  # the note before fades into this one
        frequency = 440 * 2 ** ((note.pitch - 69) / 12)
        assert abs(1200 * math.log2(heard(sound[start:end], rate) / frequency)) < 5


@pytest.mark.parametrize(("meter", "seconds"), [("4/4", 4.0), ("6/8", 2.0), ("2/2", 2.0)])
def test_length(meter, seconds):
    score = score_from_text("C4:4", meter=meter)
    sound, _ = samples(wav_bytes(score, tempo=60))
    assert len(sound) / RATE == pytest.approx(seconds + TAIL, abs=1e-3)


def test_loud_but_never_clipped_and_silent_where_nothing_sounds():
    for line in (PIECE, "C4 ; E4 ; G4 ; C5 ; E5 ; G5 ; C6 ; C3", "B4:1 " * 64):
        sound = synthesise(score_from_text(line), 0, 200.0)
        assert np.abs(sound).max() == pytest.approx(PEAK, abs=1e-4)
        assert samples(wav_bytes(score_from_text(line)))[0].max() < 32767
    late = synthesise(score_from_text("r:16 C4:16"), 0, 60.0)
    assert not late[: 4 * RATE].any()
    rest, _ = samples(wav_bytes(score_from_text("r:16")))
    assert not rest.any()


def test_nothing_clicks():
    # The steepest a sine of full scale gets is 2 pi f / rate from one sample to the next.
    sound = synthesise(score_from_text("C4:3 r:1 C4:3 r:1 C4:16"), 0, 120.0)
    steepest = np.abs(np.diff(sound)).max()
    harmonics = sum(n * s for n, s in enumerate((1.0, 0.42, 0.25, 0.12, 0.07, 0.04), 1))
    assert steepest < PEAK * harmonics * 2 * np.pi * 261.63 / RATE
    assert np.abs(sound[:5]).max() < 0.01
    assert np.abs(sound[-5:]).max() < 0.01


def test_the_same_piece_gives_the_same_bytes():
    score = score_from_text(PIECE)
    assert wav_bytes(score) == wav_bytes(score)


def test_what_would_sound_for_hours_is_refused():
    score = score_from_text("C4:256", grid=1)
    with pytest.raises(ValueError, match="26 minutes"):
        wav_bytes(score, tempo=10)
    for tempo in (0, -1, math.nan):
        with pytest.raises(ValueError, match="beats per minute"):
            wav_bytes(score, tempo=tempo)


# -- FluidSynth ------------------------------------------------------------------------------------

FAKE = """#!{python}
import sys, wave
assert open(sys.argv[-1], "rb").read(4) == b"MThd"
if open(sys.argv[-2], "rb").read()[12:13] == b"!":
    sys.exit("fluidsynth: no\\nmemory")
with wave.open(sys.argv[sys.argv.index("-F") + 1], "wb") as out:
    out.setnchannels(2), out.setsampwidth(2), out.setframerate(44100)
    out.writeframes(b"\\x00\\x10\\x00\\x30" * 100)
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """A program that takes FluidSynth's arguments, and a file that looks like a soundfont."""
    import sys

    program = tmp_path / "bin" / "fluidsynth"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    font = tmp_path / "piano.sf2"
    font.write_bytes(b"RIFF\0\0\0\0sfbk.")
    return font


def test_a_soundfont_is_played_by_the_program(fake):
    sound, rate = samples(wav_bytes(score_from_text("C4"), soundfont=fake))
    assert (len(sound), rate) == (100, RATE)  # two channels as one
    assert (sound == round(PEAK * 32767)).all()
    fake.write_bytes(b"RIFF\0\0\0\0sfbk!")
    with pytest.raises(ValueError, match="no memory"):
        wav_bytes(score_from_text("C4"), soundfont=fake)


def test_a_soundfont_that_is_missing_or_none(fake, monkeypatch, tmp_path):
    score = score_from_text("C4")
    with pytest.raises(ValueError, match="no such"):
        wav_bytes(score, soundfont=tmp_path / "no.sf2")
    (tmp_path / "text.sf2").write_text("not a font")
    with pytest.raises(ValueError, match="soundfont"):
        wav_bytes(score, soundfont=tmp_path / "text.sf2")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="fluidsynth"):
        wav_bytes(score, soundfont=fake)


FONTS = [path for path in ("/usr/share/sounds/sf2/TimGM6mb.sf2",) if os.path.exists(path)]


@pytest.mark.skipif(not (FONTS and shutil.which("fluidsynth")), reason="no FluidSynth here")
def test_the_real_fluidsynth_plays_the_pitch():
    score = score_from_text("r:8 A4:8")
    sound, rate = samples(wav_bytes(score, tempo=60, soundfont=FONTS[0]))
    second = sound[int(2.2 * rate) : int(3.8 * rate)]
    assert abs(1200 * math.log2(heard(second, rate) / 440)) < 10
