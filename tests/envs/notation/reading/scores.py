"""Scores in MusicXML, put together of notes."""

TIME = "<time><beats>{}</beats><beat-type>{}</beat-type></time>"


def note(pitch: str, length: object, more: str = "", before: str = "", attributes: str = "") -> str:
    """A note such as C4, F#4 or r for a rest, of a duration."""
    if pitch == "r":
        inside = f"<rest {attributes}/>"
    else:
        alter = "<alter>1</alter>" if "#" in pitch else ""
        inside = f"<pitch><step>{pitch[0]}</step>{alter}<octave>{pitch[-1]}</octave></pitch>"
    own = "" if pitch == "r" else attributes
    return f"<note {own}>{before}{inside}<duration>{length}</duration>{more}</note>"


def voice(label: object, *notes: str) -> str:
    return "".join(each.replace("</note>", f"<voice>{label}</voice></note>") for each in notes)


def back(length: object) -> str:
    return f"<backup><duration>{length}</duration></backup>"


def score(*parts: list[str], divisions: object = 1, time: str = "4/4", first: str = "") -> str:
    """A score of parts; each of measures, whose attributes may stand before them."""
    names = "".join(f'<score-part id="P{i}"><part-name/></score-part>' for i in range(len(parts)))
    beats, _, unit = time.partition("/")
    named = TIME.format(beats, unit) if unit else ""
    begin = f"<attributes><divisions>{divisions}</divisions>{named}{first}</attributes>"
    body = ""
    for number, measures in enumerate(parts):
        body += f'<part id="P{number}">'
        for at, inside in enumerate(measures):
            whole = inside if inside.startswith("<measure") else f'<measure number="{at + 1}">'
            whole += "</measure>" if inside.startswith("<measure") else inside + "</measure>"
            if at == 0:
                place = whole.index(">") + 1
                whole = whole[:place] + begin + whole[place:]
            body += whole
        body += "</part>"
    return f"<score-partwise><part-list>{names}</part-list>{body}</score-partwise>"


QUARTERS = [note(name, 1) for name in ("C4", "D4", "E4", "F4")]
FOUR = "".join(QUARTERS)
