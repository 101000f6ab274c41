"""Sound of a piece: a small synthesiser, or FluidSynth with a soundfont.

Each note is a few harmonics that fade as those of a plucked string do, the high ones first. It
begins and ends over some milliseconds, so that nothing clicks, and the whole is scaled, so that
nothing clips.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import wave
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from envs.music.meter import beat_quarters
from envs.music.piece import notes_of
from envs.notation.writing.midi import midi_bytes

if TYPE_CHECKING:
    from envs.music.score import Score

Samples = npt.NDArray[np.float32]
RATE = 44_100  # samples per second
MAX_SECONDS = 600
TAIL = 1.0  # seconds of silence that the last note may fade into
ATTACK, RELEASE = 0.008, 0.06  # seconds
PEAK = 0.8  # of full scale, at the loudest sample
# Strength of each harmonic. The first is the strongest, so the pitch is where it is heard.
HARMONICS = (1.0, 0.42, 0.25, 0.12, 0.07, 0.04)
INAUDIBLE = 1e-4  # -80 dB: a note that has faded to this is over
FLUIDSYNTH_SECONDS = 300  # to wait for the program


def wav_bytes(
    score: Score,
    row: int = 0,
    tempo: float = 80.0,
    soundfont: str | Path | None = None,
    rate: int = RATE,
) -> bytes:
    """Return one piece as a WAV file, mono, 16 bit.

    Args:
        score: the pieces.
        row: which of them.
        tempo: beats per minute, see `beat_quarters`.
        soundfont: path of an .sf2 or .sf3 file, played by FluidSynth; the small synthesiser here
            if None.
        rate: samples per second.

    Raises:
        ValueError: the piece would last longer than ten minutes, or there is no such soundfont,
            no FluidSynth, or it cannot play.
    """
    seconds = cell_seconds(score, tempo) * score.task.cells
    if not seconds <= MAX_SECONDS:
        raise ValueError(
            f"the piece would sound for {seconds / 60:.0f} minutes; expected "
            f"{MAX_SECONDS // 60} at most, so choose a faster tempo"
        )
    if soundfont is None:
        return _wav(synthesise(score, row, tempo, rate), rate)
    return _wav(_by_fluidsynth(midi_bytes(score, row, tempo), Path(soundfont), rate), rate)


def cell_seconds(score: Score, tempo: float) -> float:
    """Return the seconds that a cell sounds.

    Raises:
        ValueError: the tempo is not above 0.
    """
    if not tempo > 0:
        raise ValueError(f"tempo {tempo}: expected beats per minute above 0")
    return 60 / tempo / float(beat_quarters(score.task.meter)) / score.task.grid


def synthesise(score: Score, row: int, tempo: float, rate: int = RATE) -> Samples:
    """Return the samples of one piece, within [-PEAK, PEAK]."""
    cell = cell_seconds(score, tempo)
    samples = np.zeros(int((cell * score.task.cells + TAIL) * rate), np.float32)
    for note in notes_of(score, row):
        start = round(note.start * cell * rate)
        tone = _tone(note.pitch, round(note.duration * cell * rate), rate)
        end = min(start + len(tone), len(samples))
        samples[start:end] += tone[: end - start]
    return _scaled(samples)


def _scaled(samples: Samples) -> Samples:
    loudest = float(np.abs(samples).max(initial=0.0))
    return samples * np.float32(PEAK / loudest) if loudest > 0 else samples


@lru_cache(maxsize=16)
def _tone(pitch: int, length: int, rate: int) -> Samples:
    """Return the samples of a note held for `length` of them, and of its release."""
    frequency = 440.0 * 2 ** ((pitch - 69) / 12)
    # A low string sounds longer than a high one.
    decay = float(np.clip(1.6 * 2 ** ((60 - pitch) / 24), 0.3, 3.0))
    release = int(RELEASE * rate)
    audible = int(-np.log(INAUDIBLE) * decay * rate)
    held = min(length, audible)
    time = np.arange(held + release) / rate
    count = max(1, sum(n * frequency < rate / 2 for n in range(1, len(HARMONICS) + 1)))
    # Harmonic n is the n-th power of the first, so it fades faster. Those above half the rate
    # would come back as wrong low ones.
    first = np.exp((2j * np.pi * frequency - 0.4 / decay) * time)
    wave_sum = np.zeros(len(time), complex)
    for strength in reversed(HARMONICS[:count]):
        wave_sum = (wave_sum + strength) * first
    tone = np.exp(-0.6 / decay * time) * wave_sum.imag
    rise = max(1, min(int(ATTACK * rate), held))
    tone[:rise] *= 0.5 - 0.5 * np.cos(np.pi * np.arange(rise) / rise)
    tone[held:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(release) / release)
    result: npt.NDArray[np.float32] = tone.astype(np.float32)
    return result


def _wav(samples: Samples, rate: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(np.round(samples * np.float32(32767)).astype("<i2").tobytes())
    return file.getvalue()


# -- FluidSynth ------------------------------------------------------------------------------------


def _by_fluidsynth(midi: bytes, soundfont: Path, rate: int) -> Samples:
    """Return the samples of a MIDI file as FluidSynth's program plays it."""
    if not soundfont.is_file():
        raise ValueError(f"{str(soundfont)!r}: there is no such soundfont; expected an .sf2 file")
    with soundfont.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":  # it would play with another one, unasked
        raise ValueError(f"{str(soundfont)!r} is no soundfont; expected an .sf2 or .sf3 file")
    program = shutil.which("fluidsynth")
    if program is None:
        raise ValueError(
            "a soundfont needs FluidSynth, and there is no program 'fluidsynth'; install it, or "
            "leave the soundfont out"
        )
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "piece.mid", Path(folder) / "piece.wav"
        source.write_bytes(midi)
        command = [program, "-q", "-n", "-i", "-F", str(target), "-T", "wav", "-r", str(rate)]
        try:
            done = subprocess.run(
                [*command, str(soundfont.resolve()), str(source)],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=FLUIDSYNTH_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ValueError(f"FluidSynth did not play: {error}") from None
        if done.returncode or not target.is_file():
            told = " ".join(done.stderr.split())[:200] or f"status {done.returncode}"
            raise ValueError(f"FluidSynth did not play {str(soundfont)!r}: {told}")
        samples = _read_wav(target)
    if not samples.any():
        raise ValueError("FluidSynth played silence; is it a soundfont with a piano?")
    return _scaled(samples)


def _read_wav(path: Path) -> Samples:
    """Return a WAV file of 16 bit as mono samples."""
    with wave.open(str(path), "rb") as file:
        channels, width = file.getnchannels(), file.getsampwidth()
        data: Any = file.readframes(file.getnframes())
    if width != 2 or not data:
        raise ValueError(f"FluidSynth wrote {8 * width} bit and {len(data)} bytes; expected 16 bit")
    mono: npt.NDArray[np.floating] = np.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1)
    return mono.astype(np.float32)
