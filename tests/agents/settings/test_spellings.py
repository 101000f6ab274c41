"""Words as people type and paste them, and flags of other libraries."""

import re
from pathlib import Path

import pytest

from agents import benchmark, check, compose, convert, evaluate, explain
from agents.settings import commands
from agents.settings.arguments import parse_arguments
from agents.settings.spellings import ANSWERS, SAME, read_words
from envs.values import parse_value
from rewards.build import build
from rewards.spec import parse_term, short_names

FLAGS = ("key", "range", "n", "out", "reward", "chords", "threads", "runs", "learning_rate",
         "n_timesteps", "entropy", "prior", "seeds", "task", "lock")  # fmt: skip
PASTED = {
    "curly quotes": (["--key", "“A", "minor”", "-n", "1"], ["--key", "A minor", "-n", "1"]),
    "one word in quotes": (["--key", "“Am”"], ["--key", "Am"]),
    "single quotes": (["--chords", "‘i", "VII", "i", "v’"], ["--chords", "i VII i v"]),
    "low quotes": (["--key", "„A", "minor“"], ["--key", "A minor"]),
    "closing quotes on both sides": (["--key", "”A", "minor”"], ["--key", "A minor"]),
    "quotes behind a sign of equality": (["--key=“A", "minor”"], ["--key=A minor"]),
    "quotes of a term": (
        ["--task", "key=“A", "minor”", "bars=2"],
        ["--task", "key=A minor", "bars=2"],
    ),
    "an apostrophe": (["--lock", "O’Neill.abc:1"], ["--lock", "O’Neill.abc:1"]),
    "en dash of a range": (["--range", "D4–G5"], ["--range", "D4-G5"]),
    "en dash with signs": (["--range", "F♯3–B♭5"], ["--range", "F#3-Bb5"]),
    "en dash with blanks": (["--range", "D4 – G5"], ["--range", "D4-G5"]),
    "en dash of bars": (["--lock", "a.mid:1–2,5—7"], ["--lock", "a.mid:1-2,5-7"]),
    "en dash in a name": (["--lock", "Bach – Air.mid:1"], ["--lock", "Bach – Air.mid:1"]),
    "em dash of a flag": (["—key", "A"], ["--key", "A"]),
    "two en dashes": (["––key", "A"], ["--key", "A"]),
    "a dash and an en dash": (["-–key=A"], ["--key=A"]),
    "en dash of a letter": (["–n", "5"], ["-n", "5"]),
    "minus": (["--reward", "motif=−0.5"], ["--reward", "motif=-0.5"]),
    "en dash as minus": (["--reward", "motif=–.5"], ["--reward", "motif=-.5"]),
    "signs": (["--key", "F♯ minor"], ["--key", "F# minor"]),
    "signs of chords": (["--chords", "♭VII | F♯m"], ["--chords", "bVII | F#m"]),
    "blank that does not break": (["--key", "A\u00a0minor"], ["--key", "A minor"]),
    "such a blank behind a flag": (["--key\u00a0A minor"], ["--key", "A minor"]),
    "invisible signs": (["--key\u200b", "\ufeffA minor"], ["--key", "A minor"]),
    "hyphen that does not break": (["--range", "D4\u2011G5"], ["--range", "D4-G5"]),
    "a path": (["--out", "Prélude – F♯"], ["--out", "Prélude – F♯"]),
    "a path in quotes": (["--out", "“F♯", "minor”"], ["--out", "F♯ minor"]),
    "nothing": (["--key", ""], ["--key", ""]),
}


@pytest.mark.parametrize(("words", "expected"), PASTED.values(), ids=PASTED)
def test_words_of_a_web_page_are_those_of_a_keyboard(words, expected):
    assert read_words(words, FLAGS) == expected
    assert read_words(expected, FLAGS) == expected


def test_a_file_of_any_name_is_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1–2 ♯.abc").write_text("")
    assert read_words(["1–2 ♯.abc"], FLAGS) == ["1–2 ♯.abc"]
    for typed, meant in (("#7", "#7"), (":1–3", ":1-3"), ("#7:1–3", "#7:1-3")):
        assert read_words([f"1–2 ♯.abc{typed}"], FLAGS) == [f"1–2 ♯.abc{meant}"]


def test_a_quote_that_is_not_closed_is_named():
    with pytest.raises(ValueError, match="not closed"):
        read_words(["--key", "“A", "minor"], FLAGS)


# -- flags of other libraries ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--lr", "1e-4", "--total-timesteps", "64", "-f", "there", "--num-threads", "2"],
        ["--lr=1e-4", "--total_timesteps=64", "--log-folder=there", "--num_threads=2"],
        ["--learning-rate", "1e-4", "--n-timesteps", "64", "--runs", "there", "--threads", "2"],
    ],
)
def test_flags_that_mean_the_same_are_taken(words):
    config, _ = parse_arguments(words)
    assert (config.learning_rate, config.n_timesteps, config.threads) == (1e-4, 64, 2)
    assert str(config.runs) == "there"


@pytest.mark.parametrize("flag", sorted(ANSWERS.keys() - {"--seed", "--deterministic"}))
def test_other_flags_are_answered_with_ours(flag):
    for word in (flag, f"{flag}=1", flag[:2] + flag[2:].replace("-", "_")):
        with pytest.raises(ValueError, match="here|pieces?|policy|setting|metrics|numbered"):
            parse_arguments([word, "1"])


def test_flags_that_are_our_own_are_left_alone():
    names = {f"--{name}".replace("_", "-") for name in parse_arguments([])[0].__annotations__}
    assert not names & (SAME.keys() | ANSWERS.keys() - {"--seed"})
    assert set(SAME.values()) <= names
    assert parse_arguments(["--seed", "3"])[0].seed == 3


# -- numbers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"), [(".5", 0.5), ("-.5", -0.5), ("+.25", 0.25), ("5.", 5.0), (".5e-3", 5e-4)]
)
def test_numbers_without_a_digit_on_one_side_are_numbers(text, value):
    assert parse_value(text) == value
    assert parse_term(f"tonic={text}") == ("tonic", value)
    assert parse_term(f"leap_size={text},largest={text}")[1] == {"weight": value, "largest": value}
    assert build(dict([parse_term(f"tonic={text}")])).terms["tonic"].weight == value


@pytest.mark.parametrize("text", [".", "-.", "1.2.3", ".5.", "._5", "٣.", ".x"])
def test_what_is_no_number_stays_a_word(text):
    assert parse_value(text) == text


def test_terms_are_shown_by_their_last_name_where_one_has_it():
    assert short_names(["a.py:f", "x/b.py:g", "in_key"]) == {
        "a.py:f": "f", "x/b.py:g": "g", "in_key": "in_key"
    }  # fmt: skip
    assert short_names(["a.py:f", "b.py:f"]) == {"a.py:f": "a.py:f", "b.py:f": "b.py:f"}


# -- what every verb refuses -----------------------------------------------------------------------


REFUSED = {
    "compose": (compose, ["--seed", "-1", "--bars", "1"], "seed=-1"),
    "evaluate": (evaluate, ["run", "--seed", "-1"], "seed=-1"),
    "evaluate, huge": (evaluate, ["run", "--seed", "9" * 30], "seed="),
    "benchmark": (benchmark, ["--seed", "-1"], "--seed: .*--seeds"),
    "explain": (explain, ["a.abc", "--key", "“A minor"], "not closed"),
    "check": (check, ["in_key=1", "in_key=2"], "twice"),
    "convert": (convert, ["a.abc", "a.mid"], "no such file"),
    "compose, part": (compose, ["--part", "2", "--bars", "4"], "--lock"),
}


@pytest.mark.parametrize(("verb", "words", "message"), REFUSED.values(), ids=REFUSED)
def test_each_verb_names_what_is_wrong(tmp_path, monkeypatch, capsys, verb, words, message):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["prog", *words])
    with pytest.raises(SystemExit) as ended:
        verb.main()
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "file/inner"])
def test_an_output_folder_that_is_a_file_is_called_one(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    for make in (commands.check_new_directory, commands.new_directory):
        with pytest.raises(ValueError, match=r"cannot be made: .*file is no folder"):
            make(tmp_path / name)


def test_an_output_folder_that_holds_something_is_kept(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="not empty"):
        commands.new_directory(tmp_path)


def test_an_output_folder_in_a_place_that_cannot_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(OSError, match=f"nothing can be written to {tmp_path}"):
        commands.check_new_directory(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_an_error_of_the_system_is_told_without_its_number(capsys):
    def fail():
        Path("/proc/nowhere/file").write_text("")

    with pytest.raises(SystemExit):
        commands.run(fail)
    assert capsys.readouterr().err == "error: /proc/nowhere/file: No such file or directory\n"


@pytest.mark.parametrize("name", ["song 3 – 4.abc", "song\u00a03–4.abc"])
def test_a_file_before_a_colon_is_itself(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert read_words(["--rewrite", f"{name}:1–2"], FLAGS) == ["--rewrite", f"{name}:1-2"]
    assert read_words([f"--lock={name}:1–2"], FLAGS) == [f"--lock={name}:1-2"]
    assert read_words(["--lock", name], FLAGS) == ["--lock", name]
    assert read_words([f"--out={name}"], FLAGS) == [f"--out={name}"]
    assert read_words([f"{name}:F♯3–2"], FLAGS) != [f"{name}:F#3-2"]  # there is no such file
    (tmp_path / name).write_text("")
    assert read_words([f"{name}:F♯3–2"], FLAGS) == [f"{name}:F#3-2"]
