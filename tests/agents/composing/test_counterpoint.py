"""Species counterpoint: Fux's own solutions keep the demands, the search is exact, and refuses."""

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from agents import compose
from agents.compose import ComposeConfig
from agents.composing.parts import exhaustive
from agents.composing.parts.counterpoint import (
    STRICT_NAMES,
    CantusFirmus,
    Counterpoint,
    demands_of,
    ranking,
)
from agents.composing.parts.exhaustive import exhaust
from agents.composing.parts.strict import (
    CADENCE_SUSPENSION,
    FALLING_SIXTH,
    PERFECT_RUN,
    ROUGH_TRIAD,
    SYNCOPATION,
    can_suspend,
)
from envs.music.codec import FIRST_PITCH, HOLD
from envs.music.key import Key
from envs.music.piece import score_of
from envs.music.score import Score
from envs.music.voices.cantus import FUX, Cantus
from envs.notation.text_line import parse_voices
from pretrained.species import SpeciesPrior
from rewards.build import make_term
from rewards.rule import REGISTRY, as_rule, of_free_voices
from tests.rewards.rules import slow_species, slow_voices

# Fux, Gradus ad Parnassum (1725), on his cantus firmus in D; free voice, species, above.
SOLUTIONS = {
    "first above": (1, True, "A4 A4 G4 A4 B4 C5 C5 B4 D5 C#5 D5"),
    "first below": (1, False, "D3 D3 A3 F3 E3 D3 F3 C4 D4 C#4 D4"),
    "second above": (
        2,
        True,
        "r:2 A4:2 D5:2 A4:2 B4:2 C5:2 D5:2 A4:2 B4:2 D5:2 A4:2 B4:2 C5:2 A4:2 B4:2 G4:2 A4:2 B4:2 "
        "B4:2 C#5:2 D5:4",
    ),
    "fourth above": (
        4,
        True,
        "r:2 A4:2 A4:2 D5:4 C5:4 A4:2 B4:2 D5:4 C5:4 F5:4 E5:4 D5:4 C#5:2 D5:4",
    ),
}


def score_of_line(line, wanted):
    task, voice = wanted.task, 0 if wanted.above else 1
    notes = [replace(note, voice=voice) for note in parse_voices(line, task.bar_cells)[0][0]]
    firmus = [replace(note, voice=1 - voice) for note in task.codec.decode(task.page[1 - voice])]
    return score_of([*notes, *firmus], task)


def terms_of(species):
    return {rule.name: make_term(rule, 1.0) for rule in demands_of(species)}


def broken(score, species):
    found = {rule.name for rule in demands_of(species) if (rule(score) > 0).any()}
    return found


@pytest.mark.parametrize("name", ["first above", "first below"])
def test_solutions_of_fux_keep_the_demands(name):
    species, above, line = SOLUTIONS[name]
    wanted = Counterpoint(Cantus.fux("D"), species, above)
    line = " ".join(f"{note}:4" for note in line.split())
    assert broken(score_of_line(line, wanted), species) == set()


@pytest.mark.parametrize(
    ("bar", "note", "rule"),
    [
        (9, "C5", "clausula"),  # no leading note
        (10, "A4", "closing_interval"),
        (0, "B4", "opening_interval"),
        (4, "C5", "dissonance"),
        (3, "B5", "leap_size"),
        (5, "D5", "unique_climax"),
        (6, "E5", "parallel_fifths"),
    ],
)
def test_a_note_that_breaks_a_rule_is_seen(bar, note, rule):
    notes = SOLUTIONS["first above"][2].split()
    notes[bar] = note
    line = " ".join(f"{name}:4" for name in notes)
    assert rule in broken(score_of_line(line, Counterpoint(Cantus.fux("D"))), 1)


def test_what_is_given_may_break_the_rules_of_a_line():
    """This cantus firmus leaps a major sixth, where the free voice may not."""
    cantus = Cantus((62, 65, 64, 62, 71, 69, 67, 65, 64, 62), Key("D", "dorian"))
    wanted = Counterpoint(cantus)
    score = wanted.composer().compose(wanted.request(seed=1))[0].score
    assert (REGISTRY["leap_size"](score, largest=8)[0, 1] > 0).any()
    assert broken(score, 1) == set()


@pytest.mark.parametrize("species", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("above", [True, False])
def test_solutions_keep_the_rules_as_slow_twins_read_them(species, above):
    wanted = Counterpoint(Cantus.fux("D"), species, above)
    melodies = wanted.composer().compose(wanted.request(n=6, candidates=1, seed=4))
    assert len({str(melody) for melody in melodies}) == 6
    for melody in melodies:
        task, tokens = melody.score.task, melody.score.tokens[0]
        voices = [task.codec.decode(row, voice) for voice, row in enumerate(tokens)]
        assert [n.pitch for n in voices[1 if above else 0]] == list(wanted.cantus.pitches)
        for rule in demands_of(species):
            twin = getattr(slow_species, rule.name, getattr(slow_voices, rule.name, None))
            if twin is None or rule.name in ("modal_notes",):
                continue
            assert not twin(voices, task, **dict(rule.defaults)), (rule.name, str(melody))
        free = [note.pitch for note in voices[0 if above else 1]]
        assert free[:-1].count(max(free)) <= 1


def brute_force(wanted):
    """Every line of whole notes that keeps all demands, tried one by one."""
    task, voice = wanted.task, 0 if wanted.above else 1
    low, high = task.spans[voice]
    tokens = [task.codec.token(pitch) for pitch in range(low, high + 1)]
    lines = np.array(list(itertools.product(tokens, repeat=task.bars)))
    page = np.repeat(task.page[None], len(lines), axis=0)
    page[:, voice] = HOLD
    page[:, voice, :: task.bar_cells] = lines
    good = np.ones(len(lines), bool)
    score = Score(page, task)
    for rule in demands_of(1):
        good &= ~(rule(score) > 0).any(axis=(1, 2))
    return {tuple(line) for line in lines[good].tolist()}


@pytest.mark.parametrize("pitches", [(62, 64, 62), (64, 62, 65, 64), (62, 65, 62), (69, 71, 69)])
@pytest.mark.parametrize("above", [True, False])
def test_the_search_finds_what_brute_force_finds(pitches, above, monkeypatch):
    monkeypatch.setattr(exhaustive, "WIDTH", 3)  # so that it has to turn back
    final = {62: "D dorian", 64: "E phrygian", 69: "A natural minor"}[pitches[-1]]
    wanted = Counterpoint.__new__(Counterpoint)
    cantus = Cantus(pitches, REGISTRY and Cantus.fux("D").key.parse(final))
    for name, value in {"cantus": cantus, "species": 1, "above": above}.items():
        object.__setattr__(wanted, name, value)  # one leaps to its final
    page = Score.page(wanted.task, 1)
    found = exhaust(SpeciesPrior(1), page, terms_of(1), n=10**6)
    assert found.all
    voice = 0 if above else 1
    tokens = found.pieces.tokens[:, voice, :: wanted.task.bar_cells] if found.pieces else []
    assert {tuple(map(int, line)) for line in tokens} == brute_force(wanted)
    assert all(min(line) >= FIRST_PITCH for line in tokens)


def test_where_nothing_exists_the_refusal_says_so_and_names_bar_and_rule():
    wanted = Counterpoint(Cantus.fux("D"))
    request, task = wanted.request(), wanted.task
    request.task = replace(task, ranges="D4-E4 D4-A4", low=task.codec.low, high=task.codec.high)
    with pytest.raises(ValueError, match=r"proved.*prior permits.* bar \d+.*"):
        wanted.composer().compose(request)


ABC = "X:1\nT:Mine\nM:4/4\nL:1/1\nK:C\n{}|]\n"


@pytest.mark.parametrize(
    ("notes", "word"),
    [
        ("D", "1 note"),
        ("|".join(["D|E"] * 20) + "|D", "41 notes"),
        ("D|F|E/2F/2|E|D", "bar 3"),
        ("D|F|z|E|D", "bar 3: a rest"),
        ("D|F|[EG]|E|D", "bar 3"),
        ("D|F|d''|E|D", "bar 3.*out of range"),
        ("D|F|^F|E|D", "bar 3.*mode"),
        ("D|F|E|A|B", "bar 5"),
        ("D|F|E|A|D", "bar 5.*step"),
    ],
)
def test_a_bad_cantus_firmus_is_refused_by_its_bar(notes, word, tmp_path):
    file = tmp_path / "theme.abc"
    file.write_text(ABC.format(notes))
    flags = {"sound": False, "pictures": False, "out": tmp_path / "out"}
    with pytest.raises(ValueError, match=word):
        compose.compose(ComposeConfig(counterpoint=str(file), species=2, n=1, **flags))
    assert not (tmp_path / "out").exists()


def test_the_command_writes_counterpoint_to_a_file(tmp_path, capsys):
    file = tmp_path / "theme.abc"
    file.write_text(ABC.format("D|F|E|D|G|F|A|G|F|E|D"))
    flags = {"sound": False, "pictures": False, "out": tmp_path / "out"}
    compose.compose(ComposeConfig(counterpoint=str(file), species=1, below=True, n=2, **flags))
    assert "clausula" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.mid"))) == 2


@pytest.mark.parametrize(
    "flags",
    [
        {"counterpoint": "fux-D", "above": True, "below": True},
        {"species": 2},
        {"counterpoint": "fux-B"},
        {"counterpoint": "fux-D", "cantus_firmus": True},
        {"counterpoint": "fux-D", "bars": 8},
        {"counterpoint": "fux-D", "species": 6},
        {"counterpoint": "fux-D", "part": 2},
        {"counterpoint": "fux-D", "mask": ("in_key",)},
        {"counterpoint": "fux-D", "width": 5},
        {"cantus_firmus": True, "best_of": 3, "method": "masked"},
    ],
)
def test_flags_that_contradict_each_other_are_refused(flags, tmp_path):
    with pytest.raises(ValueError, match=r"--|expected|Fux"):
        compose.compose(ComposeConfig(out=tmp_path / "out", **flags))


def test_a_counterpoint_has_title_and_tempo_of_its_cantus_firmus(tmp_path):
    file = tmp_path / "theme.abc"
    file.write_text("X:1\nT:Mine\nM:2/2\nL:1/1\nQ:1/2=60\nK:C\nD|F|E|D|]\n")
    wanted = Counterpoint.read(str(file))
    (melody,) = wanted.composer().compose(wanted.request(n=1))
    assert (melody.title, melody.tempo) == ("Mine", 120)
    assert any("2/2" in notice for notice in wanted.notices)
    wanted = Counterpoint.read("fux-D")
    (melody,) = wanted.composer().compose(wanted.request(n=1))
    assert "Fux" in melody.title
    assert not wanted.notices


@pytest.mark.parametrize("method", ["", "prior"])
def test_the_method_that_is_named_is_used(method, tmp_path, capsys):
    flags = {"sound": False, "pictures": False, "out": tmp_path / "out"}
    compose.compose(ComposeConfig(counterpoint="fux-D", method=method, n=1, **flags))
    assert f"{method or 'exhaustive'}: " in capsys.readouterr().out


@pytest.mark.parametrize("key", ["D dorian", "E phrygian", "C major"])
def test_cantus_firmi_are_composed(key):
    asked = CantusFirmus(key=key, bars=9)
    melodies = asked.composer().compose(asked.request(n=3, seed=2))
    for melody in melodies:
        pitches = melody.score.pitch[melody.score.onset].tolist()
        steps = np.diff(pitches)
        assert len(pitches) == 9
        assert pitches[0] % 12 == pitches[-1] % 12 == melody.score.task.key.pitch_class
        assert steps[-1] in (-1, -2)
        assert pitches.count(max(pitches)) == 1
        assert 0 not in steps
        assert not set(np.abs(steps).tolist()) & {6, 10, 11}
        assert {p % 12 for p in pitches} <= melody.score.task.key.pitch_classes


@pytest.mark.parametrize("final", FUX)
def test_the_cantus_firmi_of_fux_have_their_modes(final):
    cantus = Cantus.fux(final)
    assert cantus.key.tonic == final
    assert cantus.pitches[0] == cantus.pitches[-1]


# -- strict rules ----------------------------------------------------------------------------------

LIGATURES = SOLUTIONS["fourth above"][2].replace("A4:2 A4:2 D5", "A4:4 D5")


def marked(rule, species, line, above=True):
    """Bars and cells in them that a rule marks in the free voice; nothing else is marked."""
    wanted = Counterpoint(Cantus.fux("D"), species, above)
    value = rule(score_of_line(line, wanted))[0]
    assert not value[1 if above else 0].any()
    return [divmod(int(t), wanted.task.bar_cells) for t in np.flatnonzero(value[0 if above else 1])]


def test_fux_s_ligatures_are_broken_where_he_breaks_them_and_close_with_a_suspension():
    assert marked(CADENCE_SUSPENSION, 4, LIGATURES) == []
    assert marked(SYNCOPATION, 4, LIGATURES) == [(4, 0)]  # A4 to B4
    struck = LIGATURES.replace("E5:4 D5:4 C#5:2", "E5:4 D5:2 E5:2 C#5:2")
    assert marked(CADENCE_SUSPENSION, 4, struck) == [(9, 0)]
    assert marked(SYNCOPATION, 4, struck) == [(4, 0), (9, 0)]


@pytest.mark.parametrize(
    ("line", "bars"),
    [
        ("A4 D5 B4 A4 B4 C5 C5 B4 D5 C#5 D5", []),
        ("A4 C5 B4 A4 B4 C5 C5 B4 D5 C#5 D5", [2, 3]),
        ("D4 F4 E4 A4 B4 C5 C5 B4 D5 C#5 D5", [2, 3]),
    ],
)
def test_three_perfect_consonances_in_a_row(line, bars):
    whole = " ".join(f"{note}:4" for note in line.split())
    assert [bar for bar, _ in marked(PERFECT_RUN, 1, whole)] == bars


@pytest.mark.parametrize(
    ("notes", "sixth", "triad"),
    [
        ("C5 E4", True, False),
        ("E4 C5", False, False),
        ("C5 Eb4", False, False),
        ("A4 F4 C#4", False, True),
        ("B4 D5 F5", False, True),
        ("F4 B4 D5", False, True),
        ("A4 F4 D4", False, False),
        ("C5 E5 G5", False, False),
        ("D5 A4 D5", False, False),
    ],
)
def test_a_falling_minor_sixth_and_rough_triads(notes, sixth, triad):
    line = " ".join(notes.split())
    assert bool(marked(FALLING_SIXTH, 3, line)) == sixth
    assert bool(marked(ROUGH_TRIAD, 3, line)) == triad


@pytest.mark.parametrize(
    ("pitches", "above", "expected"),
    [
        ((62, 65, 64, 62), True, True),
        ((62, 65, 64, 62), False, True),
        ((62, 69, 64, 62), True, False),  # a fourth, but a fifth below
        ((62, 69, 64, 62), False, True),
        ((62, 60, 64, 62), True, False),
        ((62, 65, 60, 62), True, False),  # rises to its final
    ],
)
def test_where_the_tonic_can_be_suspended(pitches, above, expected):
    cantus = replace(Cantus.fux("D"), pitches=pitches)
    assert can_suspend(Counterpoint(cantus, 4, above).task) == expected


@pytest.mark.parametrize("species", [4, 5])
@pytest.mark.parametrize("above", [True, False])
def test_the_fourth_and_fifth_species_close_with_a_suspension(species, above):
    wanted = Counterpoint(Cantus.fux("D"), species, above)
    for melody in wanted.composer().compose(wanted.request(n=2, seed=3)):
        assert not CADENCE_SUSPENSION(melody.score).any(), str(melody)


def test_the_given_voice_is_neither_ranked_nor_remarked_on():
    """Fux's cantus firmus in E has leaps and few pitches, as the rules of a line see it."""
    for species in (1, 4):
        wanted = Counterpoint(Cantus.fux("E"), species)
        (melody,) = wanted.composer().compose(wanted.request(seed=1))
        for name, term in ranking(species).terms.items():
            if term.rule.against is None and name not in ("species_rhythm", "clausula"):
                assert not term.rule(melody.score)[0, 1].any(), name
    assert REGISTRY["leap_size"](melody.score, largest=8)[0, 1].any()


@pytest.mark.parametrize("name", ["parallel_fifths", "falling_sixth"])
def test_a_rule_that_is_kept_anyway_need_not_be_demanded(name):
    fux = Counterpoint.read("fux-D")
    with pytest.raises(ValueError, match="anyway"):
        fux.composer().compose(fux.request(must=[name]))


@pytest.mark.parametrize("name", sorted(STRICT_NAMES))
def test_the_strict_rules_have_names_by_which_they_are_demanded(name):
    """Unless the species keeps it anyway, which is said."""
    species = {"rough_triad": 3, "syncopation": 4, "cadence_suspension": 4}.get(name, 1)
    fux = Counterpoint.read("fux-D", species)
    must = STRICT_NAMES[name]
    if must in fux.request().must:
        with pytest.raises(ValueError, match="anyway"):
            fux.composer().compose(fux.request(must=[name]))
        return
    free = fux.composer().compose(fux.request(n=20, candidates=1, seed=2))
    kept = fux.composer().compose(fux.request(n=20, candidates=1, seed=2, must=[name]))
    assert any(must(melody.score).any() for melody in free)
    assert not any(must(melody.score).any() for melody in kept)


@pytest.mark.parametrize("key", ["D blues", "A minor pentatonic"])
def test_a_mode_without_a_step_down_to_its_final_has_no_cantus_firmus(key):
    with pytest.raises(ValueError, match="step"):
        CantusFirmus(key=key)


@pytest.mark.parametrize("species", range(1, 6))
def test_rules_of_the_free_voice_are_the_project_s_own_and_not_probed_again(species):
    ours = {name for name, term in ranking(species).terms.items() if term.rule.ships}
    assert set(ranking(species).terms) - ours <= {"perfect_run", "rough_triad", "syncopation"}


def test_a_rule_of_a_user_is_none_of_the_project_s_for_the_free_voice_either():
    def mine(score):
        return score.onset

    assert not of_free_voices(as_rule(mine)).ships
    assert not of_free_voices(as_rule(partial(mine))).ships
