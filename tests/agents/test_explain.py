"""The command: what it prints, writes and refuses."""

import json
import re
import shutil
from pathlib import Path

import pytest
import symusic

from agents import explain as command
from agents.explain import ExplainConfig, explain_all
from envs.notation.text_line import score_from_text
from envs.notation.writing.abc import abc
from envs.notation.writing.midi import midi_bytes
from tests.helpers import from_the_shell


@pytest.fixture
def run_command(monkeypatch, capsys):
    """The verb, run as from the shell."""
    return from_the_shell(command.main, monkeypatch, capsys)


@pytest.fixture
def tune(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text(abc(score_from_text("C4 A4 B4 F#4"), title="Short"))
    return path


def test_the_command_prints_and_writes(tune, tmp_path, run_command):
    words = (tune, "--reward", "in_key=2", "leap_recovery=0.5", "--out", tmp_path / "out")
    status, out, err = run_command(*words, "--prior", "none")
    assert (status, err) == (0, "")
    assert re.search(r"(?m)^bar 1, beat 3: B4 .*\(leap_recovery, weight 0.5\)$", out)
    assert re.search(r"(?m)^bar 1, beat 4: F#4 .*\(in_key, weight 2\)$", out)
    assert (tmp_path / "out" / "page.html").read_text().startswith("<!DOCTYPE html>")
    status, out, err = run_command(*words)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.endswith("out exists and is not empty; nothing is overwritten, name another\n")


def test_the_command_prints_json_and_surprise(tune, tiny_checkpoint, run_command):
    status, out, _ = run_command(tune, "--json", "--prior", tiny_checkpoint, "--key", "G major")
    told = json.loads(out)
    assert (status, told["key"], told["title"]) == (0, "G major", "Short")
    assert {"in_key", "leap_recovery"} <= {each["rule"] for each in told["rules"]}
    assert all(message["surprise"] > 0 for message in told["messages"])
    assert not any(message["rule"] == "in_key" for message in told["messages"])


def test_a_part_of_a_file_is_explained(tmp_path, run_command):
    two = score_from_text("C4:16 D4:16 E4:16 ; C3:16 F#3:16 G3:16")
    path = tmp_path / "two.mid"
    path.write_bytes(midi_bytes(two))

    def told(more, *words):
        found = run_command(f"{path}{more}", "--prior", "none", "--json", *words)
        assert found[0] == 0, found
        return json.loads(found[1])

    assert told("")["voices"] == 2
    assert told("", "--part", "2")["voices"] == 1
    second = told("#1:2-3", "--part", "2", "--voice", "1", "--key", "C major")
    assert (second["bars"], second["messages"][0]["text"]) == (2, "F#3 is not in C major")
    assert second["messages"][0]["where"].startswith("bar 2")
    status, out, err = run_command(f"{path}:9", "--prior", "none")
    assert (status, out) == (2, "")
    assert "1 to 3" in err
    status, out, err = run_command(path, "--part", "3", "--prior", "none")
    assert "parts that do: 1" in err


def test_top_notes_and_notes_off_the_grid(tmp_path, run_command):
    file = symusic.Score.from_midi(midi_bytes(score_from_text("C4:4 E4:4 G4:8")))
    notes = file.tracks[0].notes
    notes.append(symusic.Note(notes[0].time, notes[0].duration, 48, 80))
    notes[1].time += 50
    path = tmp_path / "played.mid"
    path.write_bytes(file.dumps_midi())
    words = (path, "--reward", "in_key", "--prior", "none")
    assert "--top" in run_command(*words)[2]
    assert "--quantize" in run_command(*words, "--top")[2]
    status, out, _ = run_command(*words, "--top", "--quantize")
    assert (status, "3 notes" in out) == (0, True)


def test_the_samples_of_a_run_are_explained(run, tmp_path, capsys):
    count = len(list(run.samples.glob("*.musicxml")))
    assert count
    explain_all(ExplainConfig(run.path, reward=("in_key",), out=tmp_path / "out"))
    out = capsys.readouterr().out
    assert out.count("surprise of the prior") == count
    folders = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert folders == sorted(path.stem for path in run.samples.glob("*.musicxml"))
    for folder in folders:
        assert (tmp_path / "out" / folder / "page.html").is_file()


def test_a_run_is_asked_its_own_rules(run, capsys):
    explain_all(ExplainConfig(run.path, json=True, prior="none"))
    for told in json.loads(capsys.readouterr().out):
        assert [each["rule"] for each in told["rules"]] == ["leap_recovery"]
        assert told["cost"] == sum(2 * message["value"] for message in told["messages"])
    explain_all(ExplainConfig(run.path, json=True, prior="none", reward=("in_key",)))
    for told in json.loads(capsys.readouterr().out):
        assert [each["rule"] for each in told["rules"]] == ["in_key"]


def test_rules_of_a_run_that_are_code_need_trust(run, tmp_path, monkeypatch, run_command):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(run.path, "theirs")
    Path("mine.py").write_text(
        "def f(score):\n    return (score.tokens == 1) * 1.0\n"
        "f.violation, f.says = True, 'too long a {note}'\n"
    )
    config = Path("theirs/config.toml")
    config.write_text(config.read_text().replace("tonic =", '"mine.py:f" ='))
    words = ("theirs", "--json", "--prior", "none")
    status, out, note = run_command(*words)
    assert status == 0
    assert "--trust" in note
    assert "mine.py:f" in note
    rules = {each["rule"] for told in json.loads(out) for each in told["rules"]}
    assert rules == {"leap_recovery"}
    status, out, _ = run_command(*words, "--trust")
    assert status == 0
    rules = {each["rule"] for told in json.loads(out) for each in told["rules"]}
    assert rules == {"mine.py:f", "leap_recovery"}
    assert run_command(*words, "--reward", "in_key")[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "words", "told"),
    [
        ("a.mid", b"", (), "the file is empty; expected a piece of music"),
        ("a.mid", b"MThd nonsense", (), "not readable as MIDI"),
        ("a.xml", b"<score-partwise><b>", (), "not readable as MusicXML"),
        ("a.xml", b'<!DOCTYPE a [<!ENTITY b "b">]><a>&b;</a>', (), "XML entities"),
        ("a.txt", b"C D E", (), "cannot read '.txt' files; expected .mid"),
        ("a.abc", None, ("--reward", "in_kay"), "unknown reward 'in_kay'. Did you mean 'in_key'?"),
        ("a.abc", None, ("--key", "H"), "'H' is no tonic"),
        ("a.abc", None, ("--meter", "waltz"), "metre 'waltz': expected"),
        ("a.abc", None, ("--grid", "99"), "grid of 99 cells per quarter note: expected 1..24"),
        ("a.abc", None, ("--part", "2"), "part 2 holds no notes; parts that do: 1"),
        ("a.abc", None, ("--prior", "volk"), "no checkpoint 'volk'"),
        ("a.abc", None, ("--soundfont", "no.sf2", "--out", "out"), "there is no such soundfont"),
        ("a.abc", None, ("--phrases", "7+9"), "phrase"),
        ("nothing.abc", b"-", (), "there is no such file"),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, run_command, name, content, words, told):
    monkeypatch.chdir(tmp_path)
    if content != b"-":
        data = content if content is not None else abc(score_from_text("C4 D4")).encode()
        (tmp_path / name).write_bytes(data)
    status, out, err = run_command(name, "--prior", "none", *words)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert told in err
    assert not (tmp_path / "out").exists()


def test_a_huge_file_and_a_folder_that_is_no_run(tmp_path, run_command):
    with (tmp_path / "huge.mid").open("wb") as file:
        file.truncate(100_000_000)
    assert "larger than 10 MB" in run_command(tmp_path / "huge.mid")[2]
    assert "is no run directory" in run_command(tmp_path)[2]
