"""Files for tests of the readers: written out, packed and read back."""

import io
import zipfile
from pathlib import Path

from envs.music.piece import Piece
from envs.notation.reading.readers import read_piece


def reads(folder: Path, name: str, content: str | bytes, **known) -> Piece:
    """The piece that is read from a file of that name and content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_piece(path, **known)


def tune(body: str, meter: str = "4/4", key: str = "C", more: str = "") -> str:
    """A tune in ABC, in quarter notes."""
    return f"X:1\nT:A tune\nM:{meter}\nL:1/4\n{more}K:{key}\n{body}\n"


def mxl(score: str | bytes, container: str = "", more: int = 0) -> bytes:
    """Compressed MusicXML; `more` empty files lie in the archive too."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(more):
            archive.writestr(f"{number}.xml", "")
        archive.writestr(
            "META-INF/container.xml",
            container
            or '<container><rootfiles><rootfile full-path="s.xml"/></rootfiles></container>',
        )
        archive.writestr("s.xml", score)
    return file.getvalue()
