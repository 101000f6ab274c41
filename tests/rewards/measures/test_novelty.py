"""The copy check against plain loops over small corpora, and on tunes of the shipped corpus."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.music.score import Score
from envs.music.task import Task
from envs.notation.text_line import score_from_text
from pretrained.corpora import copies, split
from pretrained.corpora.copies import Novelty, TuneIndex
from pretrained.corpora.folk import Tune, load_corpus
from rewards.measures.novelty import novelty, training_tunes

LOW = 46  # MIDI of token 0, were it a pitch


def tune(pitches, durations=None, title="Test", offset=0):
    """A tune in 4/4 of MIDI pitches and their durations in 16ths, 2 each by default."""
    tokens = []
    for pitch, size in zip(pitches, durations or [2] * len(pitches), strict=True):
        tokens += [pitch - LOW] + [1] * (size - 1)
    position = (np.arange(len(tokens)) + offset) % 16
    fields = (np.array(tokens, np.int16), position.astype(np.int16), (4, 4), 0)
    return Tune(*fields, title, "airdsAirs", "train", 0)


def melody(tune):
    onsets = np.flatnonzero(tune.tokens > 1)
    return tune.tokens[onsets].astype(int) + LOW, onsets


def find(tunes, piece):
    return TuneIndex(tunes).find(melody(piece)[0])


def longest_run(tunes, piece):
    """Notes of the longest common run, by trying every pair of places."""

    ours = melody(piece)[0]
    best = min(1, len(ours))
    for other in tunes:
        theirs = melody(other)[0]
        for i in range(len(theirs)):
            for j in range(len(ours)):
                size = best
                while (
                    i + size < len(theirs)
                    and j + size < len(ours)
                    and (np.diff(theirs[i : i + size + 1]) == np.diff(ours[j : j + size + 1])).all()
                ):
                    size += 1
                    best = size
    return best


def best_share(tunes, piece):
    def several(tokens):
        return {gram for gram in split.grams(tokens) if len(gram) == 12 and len(set(gram)) > 1}

    own = several(piece.tokens)
    return max(len(own & several(t.tokens)) for t in tunes) / len(own) if own else None


def small_tunes(least, most, kinds=3):
    """Tunes of few different pitches and durations, so that they have much in common."""
    note = st.tuples(st.integers(60, 59 + kinds), st.sampled_from([1, 2, 4]))
    notes = st.lists(note, min_size=least, max_size=most)
    return notes.map(lambda n: tune([p for p, _ in n], [d for _, d in n]))


@settings(max_examples=150, deadline=None)
@given(st.lists(small_tunes(0, 25), min_size=1, max_size=4), small_tunes(0, 25))
def test_run_and_share_are_those_of_plain_loops(tunes, piece):
    found = find(tunes, piece)
    assert found.notes == int((piece.tokens > 1).sum())
    assert found.run == longest_run(tunes, piece)
    assert found.share == best_share(tunes, piece)
    if found.tune is None:
        assert (found.run < 2, found.number, found.share_tune) == (True, -1, None)
        return
    # The run stands where it is said to stand, in the piece and in the tune.
    assert found.tune is tunes[found.number]
    theirs, onsets = melody(found.tune)
    run = np.diff(melody(piece)[0][found.start : found.start + found.run])
    places = [
        (onsets[i] // 16 + 1, onsets[i + found.run - 1] // 16 + 1)
        for i in range(len(theirs) - found.run + 1)
        if (np.diff(theirs[i : i + found.run]) == run).all()
    ]
    assert found.bars in places
    if found.share_tune is not None:
        assert found.share == best_share([found.share_tune], piece) > 0


@settings(max_examples=50, deadline=None)
@given(st.lists(small_tunes(2, 20), min_size=2, max_size=4), small_tunes(2, 20))
def test_the_order_of_the_tunes_does_not_matter(tunes, piece):
    one, other = find(tunes, piece), find(tunes[::-1], piece)
    assert (one.run, one.share, one.start) == (other.run, other.share, other.start)


def test_another_rhythm_is_the_same_tune():
    known = tune([60, 62, 64, 65, 67, 69], [2, 2, 4, 2, 2, 4])
    assert find([known], tune([55, 57, 59, 60, 62, 64], [2, 2, 3, 1, 2, 1])).run == 6


def test_rests_do_not_break_a_run():
    pitches = [60, 64, 62, 67, 65, 72]
    index = TuneIndex([tune(pitches)])
    with_rests = score_from_text("C4:1 r:1 E4:2 D4:1 r:1 G4:2 F4:2 C5:2")
    assert novelty(with_rests, index=index)[0].run == 6
    held = tune(pitches)
    held.tokens[3] = 0
    assert find([held], tune(pitches)).run == 6


@pytest.mark.parametrize("grid", [2, 4, 12])
def test_grid_and_key_do_not_matter(grid):
    known = tune([60, 64, 62, 67, 65, 72, 71], [2, 4, 2, 2, 4, 2, 2])
    task = Task(grid=grid, low="C2", high="C6")
    tokens = np.full((1, 1, task.cells), 1)
    onsets = melody(known)[1] * grid // 4 if grid > 2 else melody(known)[1] // 2
    tokens[0, 0, onsets] = melody(known)[0] - 13 - task.codec.low + 2
    found = novelty(Score(tokens, task), index=TuneIndex([known]))[0]
    assert (found.run, found.notes, found.bars) == (7, 7, (1, 2))


def as_score(pitches, durations=2):
    """A long page in 4/4 with one piece of these notes."""
    cells = len(pitches) * durations
    task = Task(bars=max(1, -(-cells // 16)), low=24, high=108)
    tokens = np.full((1, 1, task.cells), 1)
    tokens[0, 0, :cells:durations] = np.asarray(pitches) - task.codec.low + 2
    return Score(tokens, task)


@pytest.mark.parametrize("number", range(0, 3857, 480))
def test_a_tune_of_the_corpus_in_another_key_is_a_copy(number):
    known = load_corpus().select("train")[number]
    pitches = melody(known)[0]
    (found,) = novelty(as_score(pitches + 5, 1))
    assert found.run == found.notes == len(pitches)
    assert found.share == 1
    assert found.near_copy
    assert find([found.tune], known).run == len(pitches)  # itself, or a printing that has it


def test_a_random_walk_is_no_copy():
    rng = np.random.default_rng(3)
    for _ in range(20):
        walk = 66 + np.cumsum(rng.integers(-9, 10, 60)) % 24
        (found,) = novelty(as_score(walk))
        assert found.run < 9
        assert found.share == 0
        assert found.share_tune is None
        assert not found.near_copy


def test_an_excerpt_among_other_notes_is_found_where_it_stands():
    known = load_corpus().select("train")[7]
    bar = copies.bar_numbers(known)
    pitches, onsets = melody(known)
    inside = np.flatnonzero((bar[onsets] >= 3) & (bar[onsets] <= 6))
    strange = [30, 61, 31, 62, 30]
    piece = [*strange, *pitches[inside], *strange]
    found = TuneIndex([known]).find(np.array(piece))
    assert (found.run, found.start, found.bars) == (len(inside), 5, (3, 6))
    (found,) = novelty(as_score(piece))
    assert (found.run, found.start) == (len(inside), 5)
    assert found.near_copy


def test_held_out_tunes_are_seldom_taken_for_copies():
    for bars in (2, 8):
        flags = []
        for held_out in load_corpus().select("test")[::2]:
            bar = copies.bar_numbers(held_out)
            pitches, onsets = melody(held_out)
            for first in range(1, bar[-1] + 2 - bars, bars):
                inside = (bar[onsets] >= first) & (bar[onsets] < first + bars)
                if inside.sum() > 1:
                    found = training_tunes().find(pitches[inside])
                    flags.append(found.near_copy)
        assert len(flags) > 200
        assert 0.005 < np.mean(flags) < 0.1


def test_silence_one_note_and_two():
    def row(*tokens):
        return [*tokens] + [1] * (32 - len(tokens))

    rows = [row(0), row(14), row(14, 16), row(0, 14, 0, 37)]
    score = Score(np.array(rows)[:, None], Task())
    index = TuneIndex([tune([60, 62, 64])])
    silent, one, two, leap = novelty(score, index=index)
    assert silent == Novelty()
    assert one == Novelty(notes=1, run=1)
    assert (two.notes, two.run, two.bars, two.share) == (2, 2, (1, 1), None)
    assert leap == Novelty(notes=2, run=1)
    assert not any(found.near_copy for found in (silent, one, two, leap))
    assert silent.message == "no notes"
    assert one.message == "a single note"
    none = "no run of 13 to compare"
    assert two.message == f"2 of 2 notes as in 'Test' (James Aird), bar 1; {none}"
    assert leap.message == f"no two of 2 notes as in any tune; {none}"


def test_one_note_repeated_is_nobodys_tune():
    (found,) = novelty(as_score([60] * 64))
    assert found.share is None
    assert not found.near_copy


def test_tunes_without_a_run_to_find():
    index = TuneIndex([tune([]), tune([60])])
    found = index.find(np.arange(60, 80))
    assert (found.run, found.tune, found.share) == (1, None, None)


def test_voices_are_compared_each_alone():
    known = tune([60, 64, 62, 67, 65, 72, 71, 60])
    task = Task(voices=2, bars=1)
    tokens = np.full((2, 2, 16), 1)
    tokens[0, 1, ::2] = melody(known)[0] - LOW
    tokens[1, 0, ::4], tokens[1, 1, ::4] = (melody(known)[0] - LOW).reshape(4, 2).T
    first, second = novelty(Score(tokens, task), index=TuneIndex([known]))
    assert (first.voice, first.run, first.notes) == (1, 8, 8)
    assert first.message == (
        "8 of 8 notes of voice 2 as in 'Test' (James Aird), bar 1; no run of 13 to compare"
    )
    assert second.run < 4  # as every other note it is another tune


def test_of_several_tunes_the_one_that_shares_most():
    pitches = [48 + int(step) for step in np.random.default_rng(0).permutation(36)]
    run, more = pitches[:16], pitches[16:]
    tunes = [tune(run, title="Less."), tune([*more, 48, *run]), tune([*run, 95, *more])]
    found = find(tunes, tune([*run, *more[:14]]))
    assert (found.run, found.number, found.share) == (16, 1, 6 / 18)
    assert found.share_tune is found.tune
    first = find(tunes, tune(run))
    assert (first.run, first.number, first.share) == (16, 0, 1)  # all three have all of it
    assert copies.credit(first.tune) == "'Less' (James Aird)"
    twice = find([tune([*run, 48, *run, 48])], tune(run))
    assert twice.bars == (1, 2)


def test_message_names_the_tune_of_the_share_if_it_is_another():
    def rng_tune(seed):
        return [48 + int(step) for step in np.random.default_rng(seed).permutation(30)]

    a, b = rng_tune(1)[:16], rng_tune(2)
    piece = [*a, *b[:13], 90, *b[14:29]]
    index = TuneIndex([tune(a, title="A", offset=12), tune(b, title="B")])
    found = index.find(np.array(piece))
    assert (found.run, found.start) == (16, 0)
    assert found.share == 4 / 33
    assert found.share_tune is index.tunes[0]
    assert found.message == (
        "16 of 45 notes as in 'A' (James Aird), the pickup to bar 2; 12% of the runs of 13 there"
    )
    piece = [*a[:15], 90, *b[:14], 91, *b[15:29]]
    found = TuneIndex([tune(a, title="A"), tune(b, title="B")]).find(np.array(piece))
    assert found.message == (
        "15 of 45 notes as in 'A' (James Aird), bars 1-2; 12% of the runs of 13 in 'B' (James Aird)"
    )
    leaps = [60, 99] * 7 + [60, 98]
    found = TuneIndex([tune(a, title="A")]).find(np.array(leaps))
    assert found.message == "no two of 16 notes as in any tune; 0% of the runs of 13 as in any tune"


def test_near_copy_by_run_or_by_share():
    assert not Novelty(notes=90, run=copies.RUN - 1, share=0.29).near_copy
    assert Novelty(notes=90, run=copies.RUN, share=0.1).near_copy
    assert Novelty(notes=14, run=13, share=0.5).near_copy
    assert not Novelty(notes=10, run=10).near_copy


def test_bars_of_a_tune_with_a_pickup_and_two_endings():
    position = [14, 15, *range(16), *range(14), *range(8, 16), *range(16)]
    known = tune([60] * 28)
    made = Tune(known.tokens, np.array(position, np.int16), (4, 4), 0, "", "mine", "train", 0)
    expected = [0] * 2 + [1] * 16 + [2] * 14 + [3] * 8 + [4] * 16
    assert copies.bar_numbers(made).tolist() == expected
    assert copies.credit(made) == "'untitled' (mine)"


def test_bad_input():
    with pytest.raises(ValueError, match="finished"):
        novelty(Score.page(Task(), 3))
    with pytest.raises(ValueError, match="tunes"):
        TuneIndex([])
