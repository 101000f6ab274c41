"""Rules across voices: written examples, slow twins, music21, steps, masks and messages."""

from dataclasses import replace

import numpy as np
import pytest

from envs.music.key import C_MAJOR
from envs.music.pitch import parse_pitch
from envs.music.score import Score
from envs.music.task import Task
from envs.music.voices.pairs import Pair, pairs
from envs.notation.text_line import score_from_text
from rewards.build import build
from rewards.masks import forbids, permits
from rewards.remarks import remarks
from rewards.rule import REGISTRY
from tests.doc_scripts import calibrate
from tests.rewards.rules import slow_species, slow_voices
from tests.rewards.rules.lines import check_steps, check_unfinished
from tests.rewards.rules.voice_examples import VOICES

CASES = [(name, *case) for name, cases in VOICES.items() for case in cases]


@pytest.mark.parametrize(("name", "line", "asked", "parameters", "marked"), CASES)
def test_written_examples(name, line, asked, parameters, marked):
    value = REGISTRY[name](score_from_text(line, **asked), **parameters)
    assert [tuple(at) for at in np.argwhere(value[0])] == marked


# -- slow twins ------------------------------------------------------------------------------------

TWINS = {
    name: getattr(module, name)
    for module in (slow_voices, slow_species)
    for name in VOICES
    if hasattr(module, name)
}
TASKS = [
    Task(bars=2, voices=2, low="C3", high="C5"),
    Task(bars=2, voices=3, meter="3/4", key="A minor", low="C3", high="C5"),
    Task(bars=2, voices=4, key="G major", pickup=2, low="C3", high="G4"),
    Task(bars=3, voices=4, meter="2/4", key="E phrygian", low="E3", high="E4"),
]


def choirs(task, n, seed):
    """Pieces in a narrow range whose voices mostly move together, by small steps or by leaps."""
    rng = np.random.default_rng(seed)
    shape = (n, task.voices, task.cells)
    beats = rng.random((n, 1, task.cells)) < 0.3
    begins = (beats & (rng.random(shape) < 0.8)) | (rng.random(shape) < 0.06)
    width = task.high - task.low + 1
    start = width - 1 - np.arange(task.voices)[:, None] * (width // task.voices)
    steps = rng.choice([-7, -5, -2, -1, 0, 1, 2, 2, 5, 7], shape)
    pitch = np.clip(start + np.cumsum(np.where(begins, steps, 0), axis=2), 0, width - 1)
    pitch[::3] = (pitch[::3, :1] + 12 * np.arange(task.voices)[:, None]) % width  # octaves
    scale = np.array(sorted((p - task.low) % 12 for p in task.key.pitch_classes))
    near = scale[np.abs(scale[:, None] - np.arange(12)).argmin(axis=0)]
    pitch = np.where(rng.random((n, 1, 1)) < 0.7, pitch - pitch % 12 + near[pitch % 12], pitch)
    pitch = np.clip(pitch, 0, width - 1)
    rests = rng.random(shape) < 0.02
    return Score(np.where(begins, pitch + task.codec.token(task.low), np.where(rests, 0, 1)), task)


def found(rule, score, row, parameters):
    """The cells of one piece that a rule marks, for each pair of voices if it judges pairs."""
    if rule.against is None:
        value = rule(score, **parameters)
        return {(int(v), int(t)) for v, t in np.argwhere(value[row])}
    return {
        (pair.other, int(v), int(t))
        for pair in pairs(score)
        for v, t in np.argwhere(rule.against(pair, **parameters)[row])
    }


@pytest.mark.parametrize("name", TWINS)
def test_rules_against_slow_twins(name):
    asked = [{}, *(case[2] for case in VOICES[name])]
    settings = [p for i, p in enumerate(asked) if p not in asked[:i] and "lowest" not in p]
    total = 0
    for number, task in enumerate(TASKS):
        score = choirs(task, 120, seed=number)
        decode = score.task.codec.decode
        for row in range(score.batch):
            voices = [decode(tokens, v) for v, tokens in enumerate(score.tokens[row])]
            if not all(voices):
                continue
            for parameters in settings:
                expected = TWINS[name](voices, task, **parameters)
                assert found(REGISTRY[name], score, row, parameters) == expected, parameters
                total += len(expected)
    assert total >= 5


def test_every_rule_across_voices_has_a_twin_and_six_examples_good_and_bad():
    assert TWINS.keys() == VOICES.keys()
    named = {name for name, rule in REGISTRY.items() if rule.needs == "voices"}
    assert VOICES.keys() == named
    for name, cases in VOICES.items():
        assert len(cases) >= 6, name
        assert 0 < sum(bool(case[-1]) for case in cases) < len(cases), name


# -- music21 ---------------------------------------------------------------------------------------

PREDICATES = {
    "parallel_fifths": "parallelFifth",
    "parallel_octaves": "parallelUnisonOrOctave",
    "hidden_fifths": "hiddenFifth",
    "hidden_octaves": "hiddenOctave",
    "voice_overlap": "voiceOverlap",
}


def test_motion_against_music21_s_quartets():
    """Of white notes; music21 calls parallels hidden wherever the upper voice goes."""
    from music21.note import Note
    from music21.voiceLeading import VoiceLeadingQuartet

    rng, agreed = np.random.default_rng(0), dict.fromkeys(PREDICATES, 0)
    white = [p for p in range(53, 78) if p % 12 in (0, 2, 4, 5, 7, 9, 11)]
    for _ in range(400):
        low = rng.choice(white[:9], 2)
        high = rng.choice([p for p in white if p > max(low)], 2)
        if rng.random() < 0.5:
            high[0] = low[0] + rng.choice([7, 12, 19])
            high[1] = low[1] + rng.choice([7, 12, 19])
        names = [[C_MAJOR.pitch_name(p) for p in voice] for voice in (high, low)]
        score = score_from_text(" ; ".join(" ".join(voice) for voice in names))
        quartet = VoiceLeadingQuartet(*(Note(name) for voice in names for name in voice))
        if (high[0] - low[0]) % 12 == 6:  # a diminished fifth is any fifth to music21
            continue
        for name, predicate in PREDICATES.items():
            expected = judged_by_music21(quartet, predicate)
            parameters = {"step": False} if name.startswith("hidden") else {}
            value = REGISTRY[name](score, **parameters)
            assert bool(value[0, 1, 4]) == expected, (name, names)
            agreed[name] += expected
    assert min(agreed.values()) >= 5, agreed


def judged_by_music21(quartet, predicate):
    if predicate == "parallelUnisonOrOctave":
        return quartet.parallelUnison() or quartet.parallelOctave()
    return bool(getattr(quartet, predicate)())


# -- steps, and pieces in the making ---------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS[::2], ids=["two voices", "four voices"])
def test_steps_pay_what_the_whole_is_worth(task):
    check_steps(VOICES, choirs(task, 8, seed=9))


def test_written_cells_are_worth_what_they_are_in_the_whole():
    score = choirs(TASKS[2], 8, seed=10)
    for name in VOICES:
        check_unfinished(name, score, written=18)


# -- masks -----------------------------------------------------------------------------------------

HARD = ("species_rhythm", "dissonance", "parallel_fifths", "parallel_octaves", "perfect_approach")


def over_cantus(place):
    """A task with Fux's cantus firmus in D in one of two voices, on a grid of quarter notes."""
    line = calibrate.CANTUS_FIRMI["D dorian"].split()
    task = Task(key="D dorian", bars=len(line), voices=2, grid=1, low="D3", high="D5")
    cantus = [task.codec.token(parse_pitch(note)) for note in line]
    given = np.full((2, task.cells), -1)
    given[place] = np.array([[token, 1, 1, 1] for token in cantus]).ravel()
    return replace(task, given=tuple(map(tuple, given.tolist())))


@pytest.mark.parametrize("place", [0, 1])
def test_masks_keep_the_first_species_above_and_below_a_given_voice(place):
    rules = [(build("fux_species_1").terms[name].rule, -1.0) for name in HARD]
    rng, score = np.random.default_rng(0), Score.page(over_cantus(place), 3)
    while not score.finished:
        free = permits(rules, score)
        score = score.write((rng.random(free.shape) * free).argmax(axis=1))
    for rule, _ in rules[:2]:  # of the others none may be left to choose
        assert not rule(score).any(), rule.name
    assert sum(int(rule(score).sum()) for rule, _ in rules) <= 2
    assert score.onset.sum() == 2 * 3 * 11


# -- messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        (
            "dissonance",
            "r:8 C5:16 r:8 ; A3:16 D4:16",
            "upper voice C5-silence and lower voice D4-D4",
        ),
        ("cross_relation", "F#5:16 ; A4 F4:12", "upper voice F#5-F#5 and lower voice A4-F4"),
        ("closing_interval", "C5:8 r:8 ; C4:16", "upper voice silence and lower voice C4 do not"),
        ("parallel_fifths", "G4 A4 ; C4 D4", "upper voice G4-A4 and lower voice C4-D4"),
    ],
)
def test_messages_of_two_voices_name_what_sounds_there_and_just_before(name, line, said):
    (remark,) = remarks(REGISTRY[name], score_from_text(line))
    assert said in str(remark)


# -- packs -----------------------------------------------------------------------------------------

FUX_ABOVE = "A4 A4 G4 A4 B4 C5 C5 B4 D5 C#5 D5"  # Fux's own, first species, above


def whole_notes(*lines):
    text = " ; ".join(" ".join(f"{note}:16" for note in line.split()) for line in lines)
    return score_from_text(text, key="D dorian")


def broken(pack, score):
    return {name for name, term in build(pack).terms.items() if term.rule(score).any()}


def test_fux_s_own_counterpoint_keeps_the_pack_of_the_first_species():
    cantus = calibrate.CANTUS_FIRMI["D dorian"]
    assert broken("fux_species_1", whole_notes(FUX_ABOVE, cantus)) == set()
    wrong = FUX_ABOVE.replace("C5 C5 B4", "C5 E5 D5")  # over F, A and G
    assert broken("fux_species_1", whole_notes(wrong, cantus)) >= {"parallel_fifths"}
    assert "clausula" in broken(
        "fux_species_1", whole_notes(FUX_ABOVE.replace("C#5", "G4"), cantus)
    )
    assert "species_rhythm" in broken("fux_species_2", whole_notes(FUX_ABOVE, cantus))


LINES = {  # over the beginning of a cantus in C and its close
    2: "r:8 G4:8 F4:8 A4:8 B4:16 C5:16 ; C4:16 D4:16 D4:16 C4:16",
    3: "C5 B4 A4 G4 F4 G4 A4 B4 C5:16 ; C4:16 D4:16 C4:16",
    4: "r:8 C5:16 B4:8 C5:16 ; A3:16 D4:16 C4:16",
}
RELEVANT = {"dissonance", "parallel_fifths", "parallel_octaves", "closing_interval", "clausula"}


@pytest.mark.parametrize("species", [2, 3, 4])
def test_what_one_species_allows_another_does_not(species):
    score = score_from_text(LINES[species])
    assert not RELEVANT & broken(f"fux_species_{species}", score)
    assert not RELEVANT & broken("fux_species_5", score)


def test_the_choir_of_a_cadence_keeps_its_pack():
    good = "C5 C5 B4 C5 ; G4 A4 G4 G4 ; E4 F4 D4 E4 ; C3 F3 G3 C3"
    assert broken("satb_common_practice", score_from_text(good)) == set()
    bad = "C5 C5 D5 E5 ; G4 A4 B4 C5 ; E4 F4 G4 G4 ; C3 F3 G3 C3"
    assert broken("satb_common_practice", score_from_text(bad)) == {
        "parallel_fifths",
        "parallel_octaves",
    }


def test_a_pair_with_a_given_voice_below_free_ones_is_judged_at_once():
    """A token is refused exactly where its pair with the given bass breaks a rule.

    Not for rules of the whole chord, which cannot be known before all of it is written.
    """
    base = Task(bars=1, meter="2/4", voices=3, grid=1, low="C3", high="C5")
    codec, bass = base.codec, ("C3", "D3")
    given = np.full((3, 2), -1)
    given[2] = [codec.token(parse_pitch(name)) for name in bass]
    task = replace(base, given=tuple(map(tuple, given.tolist())))
    for first in ("G4", "C4", "E4"):
        page = Score.page(task, 1)
        for token in (codec.token(parse_pitch(first)), codec.token(parse_pitch("E4")), given[2, 0]):
            page = page.write([token])
        for name in ("parallel_fifths", "parallel_octaves", "voice_crossing", "hidden_fifths"):
            rule = REGISTRY[name]
            refused = forbids(rule, page)[0]
            for token in np.flatnonzero(page.allowed()[0]).tolist():
                whole = page.write([token]).write([codec.token(parse_pitch("E4"))])
                whole = whole.write([int(given[2, 1])])
                broken = np.asarray(rule.against(Pair(whole, 0)))[0, 2, 1] > 0
                assert refused[token] == broken, (first, name, token)
    assert not REGISTRY["unresolved_leading_note"].alone
