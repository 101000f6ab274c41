"""Drafts of short tunes in ABC, and their notes as words."""

from envs.music.key import C_MAJOR
from envs.notation.reading.abc import read_draft
from envs.notation.reading.draft import Draft
from envs.notation.reading.selection import Known

QUARTERS = "M:4/4\nL:1/4\n"


def draft_of(music: str, key: str = "C", head: str = QUARTERS) -> Draft:
    """The draft of a tune with that header and music."""
    return read_draft(f"X:1\n{head}K:{key}\n{music}\n".encode(), Known())


def spelled(draft: Draft, voice: int = 0, part: int = 0) -> str:
    """The notes of a voice with their lengths in quarters: 'C4 D4:1/2'; rests are left out."""
    words = []
    for each in draft.parts[part].voices[voice]:
        length = each.end - each.start
        words.append(C_MAJOR.pitch_name(each.pitch) + (f":{length}" if length != 1 else ""))
    return " ".join(words)


def notes(music: str, key: str = "C", head: str = QUARTERS) -> str:
    """The notes of the first voice of a tune, as `spelled`."""
    return spelled(draft_of(music, key, head))
