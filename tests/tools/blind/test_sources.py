"""Sources: held-out strains of the corpus, and composers as the plain command runs them."""

from itertools import islice

import numpy as np
import pytest

from agents.composing import Composer
from envs.music.codec import FIRST_PITCH, HOLD
from envs.music.task import Task
from pretrained.corpora.folk import FOLK2, load_corpus
from tests.tools.blind.sources import Corpus, Machine, read_source, read_sources

TASKS = [
    Task(bars=8, low="G3", high="A5"),
    Task(key="D minor", meter="3/4", bars=8),
    Task(key="G major", meter="6/8", bars=8, pickup=2),
]


@pytest.mark.parametrize("task", TASKS, ids=lambda task: str(task.key))
def test_real_tunes_are_held_out_whole_strains_one_of_a_cluster(task):
    drawn = list(Corpus().draw(task, 1))
    assert len(drawn) > 5
    assert len({one.origin["cluster"] for one in drawn}) == len(drawn)
    held_out = [tune for split in ("test", "valid") for tune in load_corpus(FOLK2).select(split)]
    for one in drawn:
        named = one.origin["title"], one.origin["cluster"]
        tunes = [tune for tune in held_out if (tune.title, tune.cluster) == named]
        assert any(is_strain(one, tune, task) for tune in tunes)
        pitches = one.score.pitch[one.score.onset]
        assert task.low <= pitches.min() <= pitches.max() <= task.high


def is_strain(drawn, tune, task):
    """True if a piece has the notes of a tune between two bar lines, all moved by one interval.

    It ends where the tune ends, or on the tonic with whole strains to come.
    """
    mine, (first, last) = drawn.score.tokens[0, 0], drawn.origin["bars"]
    start = (first - 1) * tune.bar_cells + drawn.origin["upbeat left out"]
    theirs = tune.tokens[start : last * tune.bar_cells]
    size, onset = len(theirs), theirs >= FIRST_PITCH
    moved = set((mine[:size] - theirs)[onset].tolist())
    left = np.flatnonzero(tune.tokens != HOLD)[-1] // tune.bar_cells + 1 - last
    final = drawn.score.pitch[drawn.score.onset][-1] % 12
    return (
        last - first + 1 == task.bars
        and len(moved) == 1
        and (np.where(onset, 0, theirs) == np.where(onset, 0, mine[:size])).all()
        and (mine[size:] == HOLD).all()
        and theirs[0] != HOLD
        and (tune.position[start] + task.pickup) % tune.bar_cells == 0
        and (left <= 0 or (left % 8 == 0 and final == task.key.pitch_class))
    )


def test_tunes_of_the_own_metre_come_first_and_seeds_differ():
    origins = [[one.origin for one in Corpus().draw(TASKS[0], seed)] for seed in (1, 2)]
    for found in origins:
        ranks = [(o["meter"] != "4/4", o["split"] != "test") for o in found]
        assert ranks == sorted(ranks)
    titles = [[origin["title"] for origin in found] for found in origins]
    assert titles[0] != titles[1]


def test_the_register_of_real_tunes_is_that_of_the_corpus():
    scores = [one.score for one in Corpus().draw(TASKS[0], 1)]
    mean = np.mean([score.pitch[score.onset].mean() for score in scores])
    tunes = [t for t in load_corpus(FOLK2).select("train") if t.tonic == 0 and t.bar_cells == 16]
    every = [tune.tokens[tune.tokens >= FIRST_PITCH].mean() + 46 for tune in tunes]
    assert abs(mean - np.mean(every)) < 1.5  # from C4 to A5 it is 4 higher


@pytest.mark.parametrize("wish", [{"grid": 6}, {"voices": 2}, {"chords": "C | G", "bars": 2}])
def test_a_task_that_the_corpus_has_nothing_for_is_refused(wish):
    with pytest.raises(ValueError, match="corpus"):
        next(Corpus().draw(Task(**wish), 1))


@pytest.mark.parametrize("plain", [False, True])
def test_melodies_are_those_of_the_plain_command(tiny_checkpoint, plain):
    task = Task(bars=1)
    word = f"prior:{tiny_checkpoint}" + ",candidates=1" * plain
    source = read_source(word)
    drawn = list(islice(source.draw(task, 5), 3))
    assert [one.origin["seed"] for one in drawn] == [5, 6, 7]
    composer = Composer.load(prior=str(tiny_checkpoint))
    asked = {"key": "C major", "meter": "4/4", "bars": 1, "range": "C3-B5"}
    if plain:  # as `--task` without words, which chooses nothing
        composer.chooses, composer.task, asked = False, task, {}
    for one in drawn:
        melody = composer.compose(n=1, seed=one.origin["seed"], method="prior", **asked)[0]
        assert (melody.score.tokens == one.score.tokens).all()


def test_options_and_files_stand_in_the_facts(tiny_checkpoint):
    source = read_source(f"prior:{tiny_checkpoint},temperature=0.5,candidates=2")
    assert source.facts["options"] == {"method": "prior", "temperature": 0.5, "candidates": 2}
    assert list(source.facts["files"]) == [f"prior {tiny_checkpoint.name}"]
    run = read_source(f"run:{tiny_checkpoint}")
    assert set(run.facts["files"]) == {
        f"policy {tiny_checkpoint.name}",
        "prior melody.safetensors",
    }
    assert isinstance(run, Machine)
    assert run.label == f"run:{tiny_checkpoint}"
    assert set(read_source("agent").facts["files"]) == {
        "policy composer.safetensors",
        "prior melody.safetensors",
    }


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["prior:melody"], "corpus"),
        (["corpus", "corpus"], "twice"),
        (["corpus", "pior:melody"], "Did you mean|Known"),
        (["corpus", "prior:"], "NAME"),
        (["corpus", "agent:x"], "agent"),
        (["corpus", "agent,temprature=1"], "Did you mean 'temperature'"),
        (["corpus,n=2", "corpus"], "corpus"),
        (["corpus", "agent,temperature=0"], "above 0"),
        (["corpus", "agent,temperature=1,temperature=2"], "twice"),
        (["corpus", "agent,method=magic"], "magic"),
    ],
)
def test_sources_that_are_none_are_refused(words, expected):
    with pytest.raises(ValueError, match=expected):
        read_sources(words)


def test_a_checkpoint_that_is_not_there_is_named():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_source("prior:nowhere")
