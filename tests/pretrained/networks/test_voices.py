"""The network that hears all voices: what it hears, when, and equal answers in both ways."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import HOLD, REST, UNWRITTEN
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.conformance import check_prior
from pretrained.networks.lens import context_of, places
from pretrained.networks.singing.frames import APART, BESIDE, Beside
from pretrained.networks.singing.sung import FIRST, LEAP, SILENT, STILL, Coming, Compass, Sung
from pretrained.networks.voices import VoicesShape
from pretrained.prior import hears_one_line, sample
from tests.helpers import random_pieces
from tests.pretrained.networks.hearing import KINDS, hearing, partly_given
from tests.pretrained.networks.singing import TOLD, singing

CHORALE = Task(bars=1, meter="3/4", key="G minor", voices=4, low=40, high=79, pickup=2)
SHORT = replace(CHORALE, meter="2/4")
TASKS = [
    Task(bars=1),
    replace(CHORALE, voices=1),
    replace(CHORALE, voices=2, key="Eb major"),
    CHORALE,
    replace(CHORALE, voices=8, bars=1),
]


@pytest.fixture(scope="module", params=[{}, TOLD], ids=["", "told"])
def prior(request):
    return singing(**request.param)


def nats_of_all(prior, tokens, task):
    """Return nats (B, V, T, vocab) of all tokens along finished pieces."""
    by_time = prior.log_probs(Score(tokens, task))
    return by_time.unflatten(1, (task.cells, task.voices)).transpose(1, 2)


def given_task(task, **cells):
    """Return a task of which some voices are given, as `voice_2=tokens`."""
    page = np.full((task.voices, task.cells), UNWRITTEN)
    for name, tokens in cells.items():
        page[int(name.removeprefix("voice_"))] = tokens
    return replace(task, given=tuple(map(tuple, page.tolist())))


def test_it_keeps_the_protocol(prior):
    check_prior(prior)


@pytest.mark.parametrize("task", [SHORT, given_task(SHORT, voice_3=[9] + [1] * 7)])
def test_it_keeps_the_protocol_with_four_voices(prior, task):
    check_prior(prior, task)


@pytest.mark.parametrize("voice", range(4))
@pytest.mark.parametrize("time", [0, 5, 11])
def test_each_voice_is_heard_by_all_cells_behind_it_and_by_none_before(prior, voice, time):
    """Another pitch in one cell changes what is said of every later cell, in the same frame too."""
    tokens = random_pieces(CHORALE, 3, 4).tokens.copy()
    tokens[:, voice, time] = CHORALE.codec.token(60)
    other = tokens.copy()
    other[:, voice, time] = CHORALE.codec.token(65)
    gap = (nats_of_all(prior, tokens, CHORALE) - nats_of_all(prior, other, CHORALE)).abs()
    gap = gap.where(gap < 1e6, 0).amax(dim=3)  # (B, V, T)
    number = np.arange(CHORALE.steps).reshape(-1, 4).T
    later = torch.from_numpy(number > number[voice, time])
    assert (gap[:, ~later] == 0).all()
    assert (gap[:, later] > 1e-6).all()


def test_it_says_that_it_hears_more_than_one_line(prior):
    assert not hears_one_line(prior)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: f"V={task.voices}")
@pytest.mark.parametrize("given", [False, True])
def test_logits_and_features_are_equal_in_both_ways(prior, task, given):
    """Whole pieces at once, cell by cell, and at one cell of each page."""
    task = partly_given(task, seed=task.voices) if given else task
    score = random_pieces(task, 3, 5)
    pieces = torch.from_numpy(score.tokens.astype(np.int64))
    context, fixed = context_of(task, 3), torch.tensor(~task.free).expand_as(pieces)
    whole = prior.forward(pieces, context, given=fixed if given else None)
    state, line = prior.begin(context, task.voices, task.cells), pieces.transpose(1, 2).flatten(1)
    number = torch.arange(task.steps).reshape(-1, task.voices).t()
    for cell in range(task.steps):
        page = torch.where((number < cell) | fixed, pieces, UNWRITTEN)
        ahead = bool((fixed & (number > cell)).any())
        stepped = prior.advance(
            state, line[:, max(cell - 1, 0) : cell], **({"page": page} if ahead else {})
        )
        state = stepped[2]
        at = prior.forward_at(page, context, torch.full((3,), cell))
        for full, once, lone in zip(whole, stepped, at, strict=False):
            assert torch.allclose(full[:, cell], once, atol=1e-4)
            assert torch.allclose(full[:, cell], lone, atol=1e-4)


@pytest.mark.parametrize("kind", [*KINDS, "voices"])
@pytest.mark.parametrize("given", [False, True])
def test_nothing_is_said_of_a_cell_behind_the_last(kind, given):
    """The last cell is answered, one further is not, and the state in hand is as it was."""
    prior = singing() if kind == "voices" else hearing(kind)
    pieces = torch.from_numpy(random_pieces(SHORT, 2, 5).tokens.astype(np.int64))
    line, page = pieces.transpose(1, 2).flatten(1), {"page": pieces} if given else {}
    state = prior.begin(context_of(SHORT, 2), SHORT.voices, SHORT.cells)
    first = prior.advance(state, line[:, :-1], **page)
    for done, rest in ((state, line), (first[2], line[:, -1:])):
        with pytest.raises(IndexError, match="out of bounds"):
            prior.advance(done, rest, **page)
    assert torch.equal(prior.advance(state, line[:, :-1], **page)[0], first[0])


def test_pieces_of_one_batch_may_differ_in_key_and_plan(prior):
    two = replace(SHORT, bars=2)
    tasks = [two, replace(two, key="B major"), replace(two, phrases="A1 B1")]
    pieces = random_pieces(two, 3, 6)
    tokens = torch.from_numpy(pieces.tokens.astype(np.int64))
    together = prior.forward(tokens, torch.cat([context_of(task) for task in tasks]))[0]
    for row, task in enumerate(tasks):
        alone = prior.forward(tokens[row : row + 1], context_of(task))[0]
        assert torch.allclose(together[row], alone[0], atol=1e-4)
    assert not torch.allclose(together[0], together[2], atol=1e-3)


def test_keys_differ_by_the_tables_of_shifts_alone():
    """A piece and its transposition are equally likely once those tables are 0, and not before."""
    prior = singing()
    low = random_pieces(replace(CHORALE, low=48, high=72), 2, 7).tokens
    high = np.where(low > HOLD, low + 2, low)
    tasks = (CHORALE, replace(CHORALE, key="A minor"))
    shift = prior.net.frame.first["shift"]
    for equal in (False, True):
        nats = [
            nats_of_all(prior, tokens, task).numpy()[:, :, 1:, : HOLD + 1]  # no range cuts these
            for tokens, task in zip((low, high), tasks, strict=True)
        ]
        odds = [each[..., 0] - each[..., 1] for each in nats]
        assert np.allclose(*odds, atol=1e-3) is equal
        with torch.no_grad():
            prior.net.frame.rows.weight[shift : shift + 13] = 0


@pytest.mark.parametrize("voice", [0, 2, 3])
def test_a_given_voice_is_heard_before_it_is_written(prior, voice):
    """Its cell of the frame by the voices above it, and its next onset by all, from the start."""
    one, two = (random_pieces(CHORALE, 1, seed).tokens[0, voice].astype(int) for seed in (8, 9))
    one[:6] = two[:6] = REST
    one[6:] = two[6:] = HOLD
    one[6], two[6] = CHORALE.codec.token(60), CHORALE.codec.token(64)
    first, second = (given_task(CHORALE, **{f"voice_{voice}": line}) for line in (one, two))
    nats = []
    for task in (first, second):
        tokens = random_pieces(CHORALE, 2, 3).tokens.copy()
        tokens[:, :, 0] = task.codec.token(55)  # an interval to what comes needs a pitch
        tokens[:, voice] = task.page[voice]
        nats.append(nats_of_all(prior, tokens, task))
    gap = (nats[0] - nats[1]).abs()
    gap = gap.where(gap < 1e6, 0).amax(dim=3)[:, [v for v in range(4) if v != voice]]
    assert (gap[..., 1:] > 1e-6).all()


def test_nothing_given_ahead_says_what_no_page_says(prior):
    pieces = torch.from_numpy(random_pieces(CHORALE, 2, 3).tokens.astype(np.int64))
    context = context_of(CHORALE, 2)
    nothing = torch.zeros(pieces.shape, dtype=torch.bool)
    asked = prior.forward(pieces, context, given=nothing)
    for one, two in zip(prior.forward(pieces, context), asked, strict=True):
        assert torch.equal(one, two)


def test_a_checkpoint_keeps_it_and_samples_are_of_its_own_likelihood(prior, tmp_path):
    path = tmp_path / "voices.safetensors"
    checkpoint.save(path, prior)
    again = checkpoint.load(path, CHORALE)
    score = sample(again, Score.page(CHORALE, 4), 3)
    assert np.array_equal(score.tokens, sample(prior, Score.page(CHORALE, 4), 3).tokens)
    assert np.array_equal(prior.log_prob(score), again.log_prob(score))


@pytest.mark.parametrize("sizes", [{}, TOLD])
def test_gradients_reach_every_weight(sizes):
    prior = singing(**sizes)
    prior.net.requires_grad_(True)
    task = partly_given(CHORALE)
    pieces = torch.from_numpy(random_pieces(task, 2, 2).tokens.astype(np.int64))
    given = torch.tensor(~task.free).expand_as(pieces)
    logits, features = prior.forward(pieces, context_of(task, 2), given=given)
    (logits.logsumexp(-1).sum() + features.square().sum()).backward()
    assert all(weight.grad.abs().sum() > 0 for weight in prior.net.parameters())


@pytest.mark.parametrize(
    ("size", "value"),
    [("heads", 0), ("head_size", 7), ("vocab", 3), ("units", "8"), ("coming", 0), ("compass", 2)],
)
def test_a_size_out_of_bounds_is_refused_by_name(size, value):
    with pytest.raises(ValueError, match=size):
        VoicesShape(**{size: value})


# -- frames ----------------------------------------------------------------------------------------


def slow_sung(line, cell):
    """Return pitch, sounds, age and leap of a line's tokens up to a cell, by a search backwards."""
    onsets = [at for at in range(cell + 1) if line[at] > HOLD]
    events = [at for at in range(cell + 1) if line[at] != HOLD]
    pitch = line[onsets[-1]] if onsets else 0
    sounds = bool(onsets) and REST not in line[onsets[-1] : cell + 1]
    age = min(32, cell - events[-1] if events else cell + 1)
    leap = FIRST
    if len(onsets) > 1:
        leap = max(-LEAP, min(LEAP, pitch - line[onsets[-2]])) + LEAP
    return pitch, sounds, age, leap


def test_what_sounds_is_what_a_search_backwards_finds():
    task = Task(bars=4, voices=3, low=40, high=80)
    tokens = random_pieces(task, 2, 1).tokens.astype(np.int64)
    before, now = Sung.along(torch.from_numpy(tokens).transpose(1, 2))
    for piece, voice in np.ndindex(2, 3):
        line = tokens[piece, voice].tolist()
        for cell in range(task.cells):
            found = tuple(part[piece, cell, voice].item() for part in now)
            assert found == slow_sung(line, cell)
        for one, two in zip(before, now, strict=True):
            assert torch.equal(one[:, 1:], two[:, :-1])


def test_a_motion_is_an_interval_nothing_or_silence():
    tokens = torch.tensor([[[10], [1], [12], [12], [0], [1], [5]]])
    motion = Sung.along(tokens)[1].motion[0, :, 0].tolist()
    assert motion == [FIRST, STILL, LEAP + 2, LEAP, SILENT, SILENT, LEAP - 7]


def test_what_comes_is_the_next_onset_that_is_given():
    tokens = torch.tensor([[[10, 1, 12, 1, 14, 0], [3, 4, 5, 6, 7, 8]]])
    given = torch.tensor([[[0, 0, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0]]]).bool()
    coming = Coming.along(tokens, given)
    assert coming.pitch[0, :, :, 0].t().tolist() == [[12, 12, 0, 0, 0, 0], [0] * 6]
    assert coming.distance[0, :2, 0, 0].tolist() == [2, 1]


def test_what_comes_later_are_the_onsets_that_are_given_in_their_order():
    tokens = torch.tensor([[[10, 1, 12, 13, 14, 0, 15], [3] * 7]])
    given = torch.tensor([[[0, 0, 1, 1, 0, 1, 1], [0, 0, 0, 0, 0, 0, 1]]]).bool()
    coming = Coming.along(tokens, given, 4)
    assert coming.pitch[0, 0].tolist() == [[12, 13, 15, 0], [3, 0, 0, 0]]
    assert coming.pitch[0, 2:6, 0].tolist() == [[13, 15, 0, 0]] + [[15, 0, 0, 0]] * 3
    assert torch.equal(coming.distance, Coming.along(tokens, given).distance)


def test_the_compass_is_that_of_all_notes_before():
    task = Task(bars=4, voices=3, low=60, high=66)
    tokens = torch.from_numpy(random_pieces(task, 3, 1).tokens.astype(np.int64))
    compass = Compass.along(tokens.transpose(1, 2))
    for piece, cell, voice in np.ndindex(compass.high.shape):
        notes = [token for token in tokens[piece, voice, :cell].tolist() if token > HOLD]
        found = [part[piece, cell, voice].item() for part in compass]
        top = max(notes, default=0)
        assert found == [top, min(notes, default=0), notes.count(top) > 1]


def test_frames_that_are_asked_alone_are_answered_as_among_all():
    prior = singing(**TOLD)
    task = partly_given(CHORALE)
    shown = torch.from_numpy(random_pieces(task, 2, 2).tokens.astype(np.int64))
    place = places(context_of(task), task.cells)
    given = torch.tensor(~task.free).expand_as(shown)
    shift, at = torch.tensor([2]), torch.tensor([0, 3, 4, 9])
    whole = prior.net(shown, place, shift, given)
    for full, part in zip(whole, prior.net(shown, place, shift, given, at=at), strict=True):
        assert torch.allclose(full[:, at], part, atol=1e-5)


def test_what_is_of_an_interval_to_another_voice_is_added_at_its_pitch_class():
    """The bass has sung and is not heard yet; the soprano is heard; the alto is silent."""
    pitch = torch.tensor([[30, 0, 9]])
    before = Sung.nothing(1, 3, pitch.device)._replace(pitch=pitch)
    now = before.after(torch.tensor([[35, UNWRITTEN, UNWRITTEN]]))
    beside = Beside.of(torch.tensor([1, 2]), before, now, torch.zeros(1, 3, dtype=torch.bool))
    by_interval = torch.rand(1, 2, BESIDE)
    slow = torch.zeros(1, 2, 12)
    for cell, others in enumerate(({0: 35, 2: 9}, {0: 35})):
        for other, sung in others.items():
            apart = other - (cell + 1)
            side = apart + APART if apart < 0 else apart + APART - 1
            for interval in range(12):
                at = (sung + interval) % 12
                slow[0, cell, at] += by_interval[0, cell, side * 12 + interval]
    assert torch.allclose(beside.by_class(by_interval), slow)
