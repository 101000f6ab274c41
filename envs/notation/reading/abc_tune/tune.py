"""One tune of ABC: its header, its voices, and the fields between their lines of music."""

from __future__ import annotations

import re

from envs.errors import RefusedError, quoted
from envs.notation.reading.abc_tune.fields import FIELD, MAIL, VoiceSettings, read_tempo, read_words
from envs.notation.reading.abc_tune.voice import Voice
from envs.notation.reading.abc_tune.words import may_sound, words_in
from envs.notation.reading.draft import Draft, titled

LONGEST = 100_000  # characters of a tune, macros written out
MOST_VOICES = 64  # of a tune
# Behind K: these letters begin a line of music although a colon follows.
_MUSIC = re.compile(r"[A-Ga-gxyzXZ](?::\||::)")
_IN_BODY = "HIKLMmNOPQRrSsTUVWwZ"  # fields that may stand there, or tell about the tune
# Directives that move notes and are not followed.
_MOVES = re.compile(
    r"(?:abc-transpose|transpose|octave|shift|sound|MIDI\s+(?:r?transpose|c))(?!\S)"
)


class TuneReader:
    """The state of reading a tune: what holds for all voices, and the voices.

    Args:
        lines: of the tune, those that hold for the whole file before it.

    Raises:
        RefusedError: as `read_draft`.
    """

    def __init__(self, lines: list[tuple[int, str]]) -> None:
        self.settings = VoiceSettings()
        self.voices: dict[str, Voice] = {}
        self.voice: Voice | None = None  # None until one is named or has music
        self.named: list[tuple[str, str]] = []  # voices of the header and their words
        self.in_head, self.has_unit = True, False
        self.title, self.tempo = "", ""
        self.bangs, self.length = False, 0
        self.macros: dict[str, str] = {}
        self.notices: list[str] = []
        self.junk: list[str] = []  # lines of the header that are no fields
        self.symbols: set[str] = set()  # letters that U: gives a meaning
        for number, line in lines:
            try:
                self._line(line)
            except RefusedError as error:
                raise RefusedError(f"line {number}: {error}") from None
        if self.in_head:
            raise RefusedError("it has no K: field, behind which its notes begin")

    @property
    def draft(self) -> Draft:
        """The tune as a draft."""
        heard = [voice for voice in self.voices.values() if voice.has_music]
        drums = [voice for voice in heard if voice.settings.drums]
        if drums:
            self.notices.append("percussion is left out")
        if self.junk:
            self.notices.append(f"left out of the header, being no field: {self.junk[0][:40]}")
        unknown = sorted(set().union(*(voice.unknown for voice in heard)) - self.symbols)
        if unknown:
            self.notices.append(f"left out, being no notes in ABC: {' '.join(unknown[:20])}")
        self.notices += dict.fromkeys(words for voice in heard for words in voice.told)
        words = [
            word
            for each in (self.settings, *(voice.settings for voice in heard))
            for word in each.left_out
        ]
        if words:
            words = list(dict.fromkeys(words))
            self.notices.append(f"left out of its K: and V: fields: {' '.join(words)[:80]}")
        tempo, doubt = read_tempo(self.tempo, self.settings.unit)
        self.notices += [doubt] if doubt else []
        parts = [voice.part for voice in heard if voice not in drums]
        return Draft(parts, self.title, tempo, notices=list(dict.fromkeys(self.notices)))

    def _line(self, line: str) -> None:
        field = FIELD.match(line)
        if line.startswith("%"):
            self._directive(line[2:] if line.startswith("%%") else "")
        elif field and (self.in_head or not _MUSIC.match(line)):
            self._field(field[1], field[2])
        elif self.in_head:
            self.junk += [line] if line else []
        elif line:
            voice = self._current()
            music = MAIL.sub("", line).replace("=3D", "=")
            for macro, notes in self.macros.items():
                music = music.replace(macro, notes)
                if len(music) > LONGEST:
                    break
            self.length += len(music)
            if self.length > LONGEST:
                raise RefusedError(f"it has more than {LONGEST} characters; expected one tune")
            if word := words_in(music, self.symbols):
                raise RefusedError(
                    f"{quoted(word)} is no music; write % before words, and U: for letters that "
                    "are signs"
                )
            self.voice = voice.read(music, self._inline, self.bangs)

    def _current(self) -> Voice:
        """Return the voice that music belongs to: the first, if none is named."""
        if self.voice is None:
            self.voice = next(iter(self.voices.values()), None) or self._voice("1")
        return self.voice

    def _inline(self, letter: str, value: str) -> Voice:
        self._field(letter, value)
        return self._current()

    # -- fields ------------------------------------------------------------------------------------

    def _field(self, letter: str, value: str) -> None:
        """Take a field of the header, of the body or within a line."""
        value = re.split(r"(?<!\\)%", value)[0].strip()
        value = value if letter in "QT" else MAIL.sub("", value).strip()
        if not (self.in_head or letter in _IN_BODY):
            self._no_field(letter, value)
        elif letter == "T":
            words = read_words(value)
            self.title = self.title or titled(words)
        elif letter == "I":
            self._directive(value)
        elif letter == "V":
            name, _, words = " ".join(value.split()).partition(" ")
            if self.in_head:
                self.named.append((name, words))
            else:
                self.voice = self._voice(name, words)
        elif letter == "Q":
            self._tempo(value)
        elif letter == "m":
            self._macro(value)
        elif letter == "P":
            self._section(value)
        elif letter in "KLM":
            self._setting(letter, value)
        elif letter == "U":
            if re.match(r"[A-Ga-gxyzXZ]\s*=", value):
                raise RefusedError(f"'U:{value[:40]}' gives notes another meaning; write them out")
            self.symbols |= {value[:1]}

    def _no_field(self, letter: str, value: str) -> None:
        """Leave out a line that only looks like a field, as long as it can be no music."""
        text = f"{letter}:{value[:40]}"
        if may_sound(value, self.symbols):
            raise RefusedError(
                f"{quoted(text)} may be music or words, as {letter}: is no field behind K:; take "
                f"{letter}: out if it is music, and write % before words"
            )
        if value:
            self.notices.append(f"left out, as {letter}: is no field behind K:, {quoted(text)}")

    def _voices(self) -> list[Voice]:
        """Return the voices that a field is about: the present one, or all if none is named yet."""
        return [self.voice] if self.voice else list(self.voices.values())

    def _settings(self) -> list[VoiceSettings]:
        """Return the settings that a field is about, as `_voices`."""
        shared = [] if self.voice else [self.settings]
        return shared + [voice.settings for voice in self._voices()]

    def _setting(self, letter: str, value: str) -> None:
        """Take a key, metre or unit note."""
        if self.voice is None:
            self.settings.read(letter, value)
        for voice in self._voices():
            voice.set(letter, value)
        self.has_unit |= letter == "L"
        if letter == "K" and self.in_head:
            self._end_head()

    def _end_head(self) -> None:
        self.in_head = False
        if not self.has_unit:
            self.settings.default_unit()
        for name, words in self.named:
            self._voice(name, words)

    def _voice(self, name: str, words: str = "") -> Voice:
        """Return the voice of a name; '*' gives its words to every voice."""
        if name == "*":
            for settings in (self.settings, *(voice.settings for voice in self.voices.values())):
                settings.read_voice(words)
            return self._current()
        if name not in self.voices:
            if len(self.voices) >= MOST_VOICES:
                raise RefusedError(f"it has more than {MOST_VOICES} voices; expected one tune")
            self.voices[name] = Voice(name, self.settings)
        self.voices[name].settings.read_voice(words)
        return self.voices[name]

    def _tempo(self, value: str) -> None:
        if self.tempo and self.tempo != value:
            self.notices.append("the tempo changes; the first is taken throughout")
        self.tempo = self.tempo or value

    def _macro(self, value: str) -> None:
        name, equals, notes = (part.strip() for part in value.partition("="))
        if not name or not equals or "n" in name or len(name) > 30 or len(self.macros) >= 100:
            raise RefusedError(f"the macro {quoted(value)} is not read; write its notes out")
        self.macros[name] = notes

    def _section(self, value: str) -> None:
        if self.in_head and len(set(value) - set(" .()\t0123456789")) < len(value):
            self.notices.append("its P: field is not followed: each section is read once")
        if self.voice:
            self.voice.bars.open_section(self.voice.time)

    def _directive(self, words: str) -> None:
        """Take a directive, of %% or of an I: field."""
        name, _, value = words.strip().replace("=", " ").partition(" ")
        value = value.strip()
        transposed = re.fullmatch(r"transpose\s+([+-]?\d{1,2})", value)
        if name == "propagate-accidentals" and value in ("not", "octave", "pitch"):
            self._set("propagate", value)
        elif name == "linebreak":
            self.bangs = "!" in value
        elif name == "MIDI" and transposed:
            self._set("transpose", int(transposed[1]))
        elif name == "MIDI" and re.fullmatch(r"channel\s+10", value):
            self._set("drums", True)
        elif moves := _MOVES.match(f"{name} {value}"):
            self.notices.append(f"%%{moves[0]} is not followed: the notes are read as written")

    def _set(self, name: str, value: object) -> None:
        for settings in self._settings():
            setattr(settings, name, value)
