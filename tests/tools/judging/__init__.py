"""Judges of the readers: other programs read the same music, and every difference is listed.

python -m tests.tools.judging abc --folder ANSWERS --python PYTHON
python -m tests.tools.judging midi --folder ANSWERS --python PYTHON
python -m tests.tools.judging musicxml --folder ANSWERS
python -m tests.tools.judging kern --folder ANSWERS

Each prints its tables, and writes one row for each file to ANSWERS/FORMAT/FORMAT.csv. They need
what no test needs: Debian's abcmidi and MuseScore 3, mido, and a Python in which `abctoolkit` (from
PyPI, with setuptools 69) can be imported. What these say is kept in ANSWERS, so that a second run
takes a few minutes; delete it to ask them again.

abc        the 4,435 tunes of music21's corpus but for essenFolksong and josquin, first voice as
           written, against abc2xml and abc2midi; then the piece that is made of it
midi       150 of these tunes, drawn with a fixed seed, as MIDI by abc2midi; 90 of them by
           MuseScore, music21 and verovio
musicxml   the MusicXML of the corpus against music21's parse and a plain reading of the elements;
           then every part that is a melody on its own
kern       every twelfth kern file of the corpus against music21's parse
"""
