"""Restyled themes: the budget is held, what is kept is kept, and the style finds them likelier."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.composing import Composer, Request, Theme
from agents.composing.compute import ComputeMeter
from agents.composing.restyling import Target, _perturbed, _search, restyle
from agents.composing.theme import KEEPS, edits
from envs.music.piece import Piece
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from tests.agents.composing.searches import everything
from tests.agents.composing.themes import (
    ALL,
    KEPT,
    PAGE,
    REWARD,
    SMALL,
    WIDE,
    count_edits,
    dense,
    line,
    same_rhythm,
    theme_of,
)
from tests.helpers import small_prior


@pytest.mark.parametrize(
    ("other", "count"),
    [
        ("C4 E4 G4 r:4", 0),
        ("C4 F4 G4 r:4", 1),  # another pitch
        ("C4 E4:2 F4:2 G4 r:4", 1),  # one note more
        ("C4:8 G4 r:4", 1),  # one fewer, the note before it goes on
        ("C4 r:4 G4 r:4", 1),  # one fewer, silence in its place
        ("r:4 E4 G4 r:4", 1),
        ("C4 E4 r:8", 1),  # the last one, and the silence after it goes with it
        ("C4 E4 G4 C5", 1),
        ("C4 E4 G4:2 r:6", 1),  # shorter
        ("C4 E4 G4:8", 1),  # longer
        ("C4:6 E4:2 G4 r:4", 2),  # moved
        ("r:16", 3),
    ],
)
def test_an_edit_is_what_a_musician_would_call_a_change(other, count):
    theme, other = (score_from_text(text, key="C major") for text in ("C4 E4 G4 r:4", other))
    assert edits(theme, other).sum() == edits(other, theme).sum() == count
    assert count_edits(line(theme), line(other), 16) == count


def test_edits_are_counted_as_by_hand():
    pieces = dense(PAGE, 60, 3)
    for row in range(0, 60, 6):
        theme = pieces.take([row])
        counts = edits(theme, pieces).sum(axis=(1, 2))
        assert counts[row] == 0
        byhand = [count_edits(line(theme), line(pieces, other), PAGE.cells) for other in range(60)]
        assert counts.tolist() == byhand


@pytest.mark.parametrize("keep", ALL, ids=" ".join)
@pytest.mark.parametrize("seed", range(6))
def test_a_wide_search_finds_every_melody_within_the_budget(tiny_prior, keep, seed):
    pieces = everything(SMALL)
    theme = Theme(Piece.of(pieces, 379 * (seed + 1)), keep, 0.5 + seed / 12, tiny_prior)
    score, task = theme.score_for(SMALL), theme.piece.task
    found = _search(
        tiny_prior, Target.of(theme, score), 1, torch.Generator(), 1.0, WIDE, ComputeMeter()
    )  # fmt: skip
    notes = line(score)
    wanted = {
        tuple(other)
        for other in (line(pieces, row) for row in range(pieces.batch))
        if count_edits(notes, other, task.cells) <= theme.most
        and all(KEPT[name](notes, other, task) for name in keep)
    }
    reached = [tuple(line(found.score, row)) for row in range(found.score.batch)]
    assert len(reached) == len(set(reached))
    assert set(reached) == wanted
    assert (edits(score, found.score).sum(axis=(1, 2)) == found.used).all()
    nats = tiny_prior.log_prob(found.score).sum(axis=(1, 2))
    np.testing.assert_allclose(found.log_p, nats, atol=1e-4)


def test_beginnings_of_each_number_of_edits_go_on(tiny_prior):
    theme = theme_of(PAGE, 1, edit=0.7)
    target = Target.of(theme, theme.score_for(PAGE))
    found = _search(tiny_prior, target, 3, torch.Generator(), 1.0, 1, ComputeMeter())
    for group in range(3):
        assert sorted(found.used[found.group == group]) == list(range(theme.most + 1))


def test_of_a_wide_search_the_likeliest_is_taken(tiny_prior):
    pieces = everything(SMALL)
    theme = Theme(Piece.of(pieces, 700), (), 0.7, small_prior(8))
    score = theme.score_for(SMALL)
    near = [r for r in range(pieces.batch) if edits(score, pieces.take([r])).sum() <= theme.most]
    near = pieces.take([r for r in near if pieces.onset[r].any()])
    lines = [tuple(line(near, row)) for row in range(near.batch)]
    nats = {}  # silence can be written in several ways, of which the search writes one
    canonical = [Piece.of(near, row).score_for(SMALL) for row in range(near.batch)]
    for notes, one in zip(lines, canonical, strict=True):
        nats[notes] = float(tiny_prior.log_prob(one).sum())
    del nats[tuple(line(score))]
    best = sorted(nats, key=lambda notes: -nats[notes])[:4]
    result = restyle(theme, tiny_prior, REWARD, SMALL, 4, width=WIDE)
    assert [tuple(line(result.score, row)) for row in range(4)] == best


def test_the_largest_worth_is_a_draw_from_the_prior_within_the_budget(tiny_prior):
    theme, groups = Theme(Piece.of(everything(SMALL), 1480), (), 0.7, tiny_prior), 1500
    target = Target.of(theme, theme.score_for(SMALL))
    rng, meter = torch.Generator().manual_seed(5), ComputeMeter()
    found = _search(tiny_prior, target, groups, rng, 1.0, WIDE, meter)
    per_group = found.score.batch // groups
    assert per_group > 20
    order = np.lexsort((-found.worth, found.group))
    drawn = [tuple(piece) for piece in found.score.tokens[order[::per_group], 0].tolist()]
    first = np.flatnonzero(found.group == 0)
    chance = np.exp(found.log_p[first])
    chance /= chance.sum()
    for row, wanted in zip(first, chance, strict=True):
        share = drawn.count(tuple(found.score.tokens[row, 0].tolist())) / groups
        assert share == pytest.approx(wanted, abs=4 * np.sqrt(wanted / groups) + 1e-3)


def test_noise_of_the_children_is_that_of_the_beginning():
    """The largest is the beginning's, so that a beam keeps to the draw that it began."""
    rows, rng = 4000, torch.Generator().manual_seed(1)
    chance = np.array([0.5, 0.2, 0.3, 0.0])
    legal, worth = chance[None].repeat(rows, 0) > 0, np.linspace(-3, 3, rows)
    with np.errstate(divide="ignore"):
        noisy = _perturbed(np.log(chance)[None].repeat(rows, 0), worth, legal, rng)
    np.testing.assert_allclose(noisy.max(axis=1), worth)
    assert (noisy[:, 3] == -np.inf).all()
    drawn = np.bincount(noisy.argmax(axis=1), minlength=4) / rows
    np.testing.assert_allclose(drawn, chance, atol=0.03)


@pytest.mark.parametrize("keep", ALL, ids=" ".join)
def test_budget_and_what_is_kept_hold_for_random_themes(tiny_prior, keep):
    for seed in range(6):
        theme = theme_of(PAGE, seed, keep, (0.25, 0.4, 0.7)[seed % 3])
        task = theme.task_with({})
        notes = line(theme.score_for(task))
        result = restyle(theme, tiny_prior, REWARD, task, 2, seed, (1.0, 0.2)[seed % 2], width=3)
        assert len({tuple(line(result.score, row)) for row in range(2)}) == 2
        for row, movement in enumerate(result.movements):
            other = line(result.score, row)
            count = count_edits(notes, other, task.cells)
            assert 1 <= count <= int((0.25, 0.4, 0.7)[seed % 3] * len(notes) + 1e-9)
            assert (movement.edits, movement.kept) == (count, keep)
            assert movement.share == count / len(notes)
            assert all(KEPT[name](notes, other, task) for name in keep)
            assert set(KEPT) == set(KEEPS)


def test_a_theme_moves_towards_the_style(tiny_prior):
    base = small_prior(8)
    for seed in range(4):
        theme = theme_of(PAGE, seed, edit=0.4, base=base)
        result = restyle(theme, tiny_prior, REWARD, PAGE, 3, seed)
        score = theme.score_for(PAGE)
        for row, movement in enumerate(result.movements):
            pieces = result.score.take([row])
            assert movement.after[0] < movement.before[0]
            before = [-float(prior.log_prob(score).mean()) for prior in (tiny_prior, base)]
            after = [-float(prior.log_prob(pieces).mean()) for prior in (tiny_prior, base)]
            assert movement.before == pytest.approx(before, abs=1e-5)
            assert movement.after == pytest.approx(after, abs=1e-5)
            moved = (before[0] - after[0]) - (before[1] - after[1])
            assert moved != 0
            assert movement.moved == pytest.approx(moved, abs=1e-5)
        nats = [movement.after[0] for movement in result.movements]
        assert nats == sorted(nats)


def test_between_a_prior_and_itself_nothing_moves(tiny_prior):
    theme = theme_of(PAGE, base=tiny_prior)
    for movement in restyle(theme, tiny_prior, REWARD, PAGE, 2).movements:
        assert movement.moved == 0.0
        assert movement.after[0] == movement.after[1] < movement.before[0]


def test_the_seed_decides(tiny_prior):
    theme = theme_of(PAGE, edit=0.5)
    drawn = [restyle(theme, tiny_prior, REWARD, PAGE, 2, seed, width=2) for seed in (3, 3, 4)]
    tokens = [result.score.tokens.tolist() for result in drawn]
    assert tokens[0] == tokens[1] != tokens[2]


def test_searches_that_do_not_fit_in_memory_together_follow_one_another(tiny_prior, monkeypatch):
    monkeypatch.setattr("agents.composing.restyling.MOST_CELLS", 1)
    result = restyle(theme_of(PAGE, edit=0.5), tiny_prior, REWARD, PAGE, 5, width=2)
    assert result.score.batch == len({tuple(line(result.score, row)) for row in range(5)}) == 5


def test_a_theme_on_another_grid_in_another_key_with_a_pickup(tiny_prior):
    task = Task(key="Eb minor", meter="6/8", bars=2, grid=2, pickup=2, low="C4", high="G5")
    theme = theme_of(task, 1, ("rhythm",), 0.5, tiny_prior)
    request = Request(given=theme, method="prior", n=2)
    for melody in Composer(tiny_prior, REWARD).compose(request):
        assert melody.score.task == task
        assert same_rhythm(line(theme.score_for(task)), line(melody.score), task)
        assert 1 <= melody.report.movement.edits <= theme.most


def test_a_prior_that_cannot_read_the_theme_says_so(tiny_prior):
    triplets = theme_of(replace(PAGE, grid=24), base=tiny_prior)
    with pytest.raises(ValueError, match="grid|cells per quarter"):
        Composer(tiny_prior, REWARD).compose(Request(given=triplets, method="prior"))
    wide = score_from_text("C2 C4 C6 C7", key="C major", low="C2", high="C7")
    theme = Theme(Piece.of(wide), base=tiny_prior)
    with pytest.raises(ValueError, match="cannot write C2"):
        Composer(tiny_prior, REWARD).compose(Request(given=theme, method="prior"))


def test_too_few_melodies_are_an_error(tiny_prior):
    piece = Piece.of(score_from_text("C4:8 C#4:8", key="C major", low="C4", high="C#4"))
    theme = Theme(piece, ("rhythm", "contour"), 1.0, tiny_prior)
    with pytest.raises(ValueError, match="0 melodies within 2 edits with rhythm and contour kept"):
        restyle(theme, tiny_prior, REWARD, theme.piece.task)


PIECE = Piece.of(score_from_text("C4 E4 G4 C5", key="C major"))
TWO = Piece.of(score_from_text("C4 E4 ; C3 E3", key="C major"))
BAD = {
    "budget": ({"edit": 1.5}, ValueError, "edit=1.5"),
    "no budget": ({"edit": 0}, ValueError, "edit=0"),
    "no edit": ({"edit": 0.2}, ValueError, "at least 0.25"),
    "no number": ({"edit": "much"}, TypeError, "edit='much'"),
    "nan": ({"edit": float("nan")}, ValueError, "edit=nan"),
    "truth": ({"edit": True}, TypeError, "edit=True"),
    "kept": ({"keep": ["rythm"]}, ValueError, "Did you mean 'rhythm'"),
    "a word": ({"keep": "rhythm"}, TypeError, "list"),
    "voices": ({"piece": TWO}, ValueError, "2 voices"),
    "silence": ({"piece": Piece.of(score_from_text("r:16"))}, ValueError, "no notes"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_theme_that_is_none_is_refused(name):
    arguments, error, message = BAD[name]
    with pytest.raises(error, match=message):
        Theme(**{"piece": PIECE, **arguments})


ASKED = {
    "metre": ((), {"meter": "3/4"}, "another metre"),
    "grid": ((), {"grid": 2}, "grid"),
    "length": ((), {"bars": 3}, "bars=3"),
    "range": ((), {"range": "C4-G4"}, "outside the range"),
    "no chords": (("chords",), {}, "--chords"),
    "no chord tone": (("chords",), {"chords": "F#"}, "no note"),
    "demand": ((), {"must": ["in_key"]}, "must"),
    "wish": ((), {"wishes": ["in_key"]}, "wishes"),
    "primer": ((), {"primer": "C4"}, "primer"),
    "beam": ((), {"method": "beam"}, "method=beam"),
    "policy": ((), {"method": "sample"}, "method=sample"),
    "many": ((), {"n": 9999, "bars": 1}, "n=9999.*cells"),
    "task": ((), {"task": Task()}, "task and given"),
}


@pytest.mark.parametrize("name", ASKED)
def test_what_cannot_be_asked_of_a_theme_is_refused(tiny_prior, name, monkeypatch):
    keep, wish, message = ASKED[name]
    monkeypatch.setattr("agents.composing.decoding.MOST_CELLS", 2_000_000)
    composer = Composer(tiny_prior, REWARD, policy=tiny_prior)
    with pytest.raises(ValueError, match=message):
        composer.compose(
            Request(**{"given": Theme(PIECE, keep, base=tiny_prior), "method": "prior", **wish})
        )
