"""Chorales as lessons: keys, parts, given cells; and figures that are those of the prior itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from envs.music.codec import FIRST_PITCH
from envs.music.score import Score
from pretrained.corpora.chorales import CODEC, RANGES, read_chorale
from pretrained.networks.lens import context_of, places, shifts
from pretrained.training.chorale_course import ChoraleCourse, FrameFigures, voice_by_voice
from pretrained.training.chorale_lessons import (
    chorale_lesson,
    collate_frames,
    fewer_voices,
    given_cells,
)
from pretrained.training.fit import fit
from pretrained.training.settings import PriorConfig
from tests.pretrained.corpora.own_chorales import chorale, tune
from tests.pretrained.networks.singing import singing

SMALL = {"hidden": 8, "embed": 8, "heads": 1, "feed": 8, "ahead": 8, "batch_tokens": 600}


@pytest.fixture(scope="module")
def pieces():
    return [read_chorale(chorale(tune(n, 6)), str(n)) for n in range(6)]


def in_key(piece, tonic, up):
    """Return a chorale in C in another key."""
    tokens = np.where(piece.tokens >= FIRST_PITCH, piece.tokens + up, piece.tokens)
    return replace(piece, tokens=tokens, task=replace(piece.task, key=tonic))


def test_a_lesson_is_what_the_prior_reads_of_the_piece(pieces):
    """Tokens in C, places and shift as `networks.lens` has them."""
    whole = chorale_lesson(pieces[0])
    for tonic, up in (("D major", 2), ("Bb major", -2)):
        moved = in_key(pieces[0], tonic, up)
        shown, context = chorale_lesson(moved), context_of(moved.task)
        assert np.array_equal(shown.tokens, whole.tokens)
        assert shown.shift == -up == shifts(CODEC, context).item()
        assert np.array_equal(shown.place, places(context, moved.task.cells)[0].numpy())


def test_parts_are_phrases_that_end_on_the_tonic_in_keys_that_can_be_sung(pieces):
    rng, low = np.random.default_rng(1), CODEC.low - FIRST_PITCH
    lengths, shifts_seen, plans = set(), set(), set()
    for _ in range(60):
        shown = chorale_lesson(in_key(pieces[1], "D major", 2), rng)
        lengths.add(len(shown.place))
        shifts_seen.add(shown.shift)
        plans.add(shown.place[0, 4] == shown.place[0, 5])
        for line, (least, most) in zip(shown.tokens, RANGES, strict=True):
            sung = line[line >= FIRST_PITCH] + low - shown.shift
            assert shown.shift == -2 or (least <= sung.min() and sung.max() <= most)
        last = shown.tokens[3][shown.tokens[3] >= FIRST_PITCH][-1] + low
        assert last % 12 == 0
    assert max(lengths) == 96
    assert len(lengths) > 1
    assert len(shifts_seen) > 3
    assert plans == {True, False}


def test_given_cells_are_voices_or_bars_and_leave_a_voice(pieces):
    rng = np.random.default_rng(0)
    tokens, place, _, real = collate_frames([chorale_lesson(piece) for piece in pieces])
    real[0, 50:] = False
    kinds = set()
    for _ in range(80):
        given = given_cells(tokens, place, real, rng)
        whole = (given | ~real[:, None]).all(dim=2)
        assert not given[~real[:, None].expand_as(given)].any()
        if not given.any():
            kinds.add("none")
        elif (whole == given.any(dim=2)).all():
            kinds.add("voices")
            assert not whole.all(dim=1).any()
        else:
            kinds.add("bars")
    assert kinds == {"none", "voices", "bars"}
    counts = {fewer_voices(tokens, rng).shape[1] for _ in range(400)}
    assert counts == {1, 2, 3, 4}


def test_the_loss_is_of_cells_that_are_not_given(pieces, monkeypatch):
    course, net = ChoraleCourse(), singing(codec=CODEC).net
    shown = collate_frames([chorale_lesson(piece) for piece in pieces[:2]])
    tokens = shown[0]
    given = torch.zeros(tokens.shape, dtype=torch.bool)
    given[:, 0] = True
    monkeypatch.setattr("pretrained.training.chorale_course.fewer_voices", lambda t, rng: t)
    monkeypatch.setattr("pretrained.training.chorale_course.given_cells", lambda *_: given)
    loss, _ = course.losses(net, shown, np.random.default_rng(0), False)
    logits = net(tokens, shown[1], shown[2], given)[0].log_softmax(-1).transpose(1, 2)
    nats = -logits.gather(3, tokens[..., None])[..., 0]
    assert loss.item() == pytest.approx(nats[:, 1:].mean().item(), rel=1e-4)


def test_held_out_figures_are_those_of_the_prior(pieces):
    """On a task of the network's whole range the grammar is the same."""
    prior = singing(codec=CODEC)
    found = ChoraleCourse().held_out(prior.net, pieces[:3], CODEC)
    nats = []
    for piece in pieces[:3]:
        task = replace(piece.task, low=CODEC.low, high=CODEC.high)
        own = CODEC.tokens_of(piece.task.codec, 0)[piece.tokens]
        nats.append(-prior.log_prob(Score(own[None], task))[0])
    assert found.nats_per_frame == pytest.approx(sum(n.sum() for n in nats) / 288, rel=1e-4)
    bass = sum(n[3].sum() for n in nats) / 288
    assert found.by_voice["bass"] == pytest.approx(bass, rel=1e-4)


def test_figures_from_numbers(pieces):
    nats = [np.full((4, 10), value) for value in (1.0, 3.0)]
    found = FrameFigures.of(nats, pieces[:2])
    onsets = sum((piece.tokens >= FIRST_PITCH).sum() for piece in pieces[:2])
    assert (found.nats_per_frame, found.nats_per_token) == (8.0, 2.0)
    assert found.nats_per_note == pytest.approx(160 / onsets)
    assert found.error == pytest.approx(np.hypot(40, 40) / 20)
    assert found.by_voice == dict.fromkeys(("soprano", "alto", "tenor", "bass"), 2.0)


def test_n_grams_know_no_other_voice(pieces):
    before = voice_by_voice(2, pieces[:4], pieces[4:], CODEC)
    piece = pieces[4]
    other = piece.tokens.copy()
    other[1] = piece.tokens[2]
    after = voice_by_voice(2, pieces[:4], [replace(piece, tokens=other), pieces[5]], CODEC)
    assert before.by_voice["alto"] != after.by_voice["alto"]
    assert before.by_voice["bass"] == after.by_voice["bass"]


def test_a_network_learns_chorales_and_hears_the_other_voices(pieces):
    """After some steps it expects the voices that always sing with the soprano."""
    config = PriorConfig(
        data="chorales", epochs=20, dropout=0.0, token_dropout=0.0, bf16=False,
        learning_rate=0.02, average=0.5, **SMALL,
    )  # fmt: skip
    course, losses = ChoraleCourse(), []
    net = fit(
        config, pieces, pieces[:1], CODEC, course=course,
        after_epoch=lambda epoch: losses.append(epoch.valid.nats_per_frame),
    )  # fmt: skip
    assert losses[-1] < 0.6 * losses[0]
    found = course.held_out(net, pieces, CODEC)
    assert found.by_voice["bass"] < 0.7 * found.by_voice["soprano"]
