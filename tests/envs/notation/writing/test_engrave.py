"""Score pictures: the same in every thread, and with signs that every viewer shows."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from envs.music.codec import Note
from envs.music.piece import score_of
from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import musicxml

PICTURES = """
import threading

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.writing.engrave import svg
from envs.notation.writing.musicxml import musicxml

document = musicxml(Score([[[20] + [1] * 31]], Task()), 0, "Title", 80.0)
pictures = []
for _ in range(2):
    thread = threading.Thread(target=lambda: pictures.append(svg(document)))
    thread.start()
    thread.join()
    pictures.append(svg(document))
assert len(pictures) == 4 and len(set(pictures)) == 1
"""


def test_threads_after_the_first_draw_the_same_picture():
    subprocess.run([sys.executable, "-c", PICTURES], check=True)


def picture(meter="4/4", chords="", tempo=80.0):
    score = score_from_text("C4 D4:2 E4:2 F4 G4 A4:8", meter=meter)
    return svg(musicxml(Score(score.tokens, replace(score.task, chords=chords)), tempo=tempo))


def words(drawn):
    """The letters of each text of a picture, blanks left out."""
    name = "{http://www.w3.org/2000/svg}text"
    texts = ("".join(each.itertext()) for each in ET.fromstring(drawn).iter(name))
    return [re.sub(r"\s", "", text) for text in texts]


@pytest.mark.parametrize("meter", ["4/4", "6/8", "2/2", "7/8", "3/8", "7/16"])
def test_signs_in_words_are_paths_and_need_no_font(meter):
    drawn = picture(meter, "Bbm7b5/Ab", 66.5)
    assert not re.search("[\ue000-\uf8ff]", drawn)  # where music fonts have their letters
    assert "@font-face" not in drawn
    assert "Leipzig" not in drawn
    assert "=66.5" in words(drawn)
    assert "".join(words(drawn)).endswith("Bm7(5)/A")
    (tempo,) = re.findall(r'class="tempo">(.*?)</g>', drawn, re.DOTALL)
    (chord,) = re.findall(r'class="harm">(.*?)</g>', drawn, re.DOTALL)
    dotted = meter in ("6/8", "3/8")
    assert (tempo.count("<path"), chord.count("<path")) == (1 + dotted, 3)


def test_words_and_signs_stand_in_reading_order():
    (chord,) = re.findall(r'class="harm">(.*?)</g>', picture(chords="Bbm7b5/Ab"), re.DOTALL)
    kinds = re.findall(r'<(text|path)[^>]*(?:translate\(| x=")([\d.]+)', chord)
    assert [kind for kind, _ in kinds] == ["text", "path"] * 3
    places = [float(place) for _, place in kinds]
    assert places == sorted(places)
    (tempo,) = re.findall(r'class="tempo">(.*?)</g>', picture("6/8"), re.DOTALL)
    note, dot, words = re.findall(r'(?:translate\(| x=")([\d.]+)', tempo)
    assert float(note) < float(dot) < float(words)


def test_a_picture_without_signs_in_words_stays_as_it_is():
    plain, marked = picture(chords="C"), picture(chords="Bb")
    assert plain.count('class="harm"') == marked.count('class="harm"') == 1
    assert "xml:space" not in re.findall(r'class="harm">(.*?)</g>', plain, re.DOTALL)[0]
    assert "Melody" not in plain  # the name of a single part is for programs


@pytest.mark.parametrize("voices", [1, 2, 3])
@pytest.mark.parametrize("pickup", [0, 4])
def test_every_note_of_every_voice_is_drawn(voices, pickup):
    task = Task(key="F", bars=3, voices=voices, pickup=pickup, chords="F Bb F")
    notes = [
        Note(start, 4, 60 + voice, voice) for voice in range(voices) for start in range(0, 48, 4)
    ]
    drawn = svg(musicxml(score_of(notes, task), title="A title"))
    assert len(re.findall(r'class="note"', drawn)) == len(notes)
    assert len(re.findall(r'class="clef"', drawn)) >= min(voices, 2)
    ET.fromstring(drawn)
