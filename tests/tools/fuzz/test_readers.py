"""A little of the fuzzing at every run: the same inputs each time, few of them for slow readers."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tools.fuzz.killing import Killing
from tests.tools.fuzz.mutation import KINDS, Edit, edited, mutated
from tests.tools.fuzz.readers import READERS
from tests.tools.fuzz.watch import SECONDS, FindingError, Watch

SLOW = {
    "xml": 12,
    "mxl": 12,
    "abc": 20,
    "kern": 40,
    "tune": 25,
    "explain": 6,
    "lock": 12,
    "checkpoint": 25,
}
EXAMPLES = 60


def edits(words):
    """Changes to an input."""
    return st.lists(
        st.builds(
            Edit,
            st.sampled_from(KINDS),
            st.floats(0, 1),
            st.integers(1, 300),
            st.one_of(st.sampled_from(words), st.binary(min_size=1, max_size=4)),
            st.integers(2, 200),
        ),
        max_size=6,
    )


@pytest.mark.parametrize("name", READERS)
def test_a_reader_returns_or_refuses_on_purpose(name):
    reader = READERS[name]
    seeds = list(reader.seeds())
    watch = Watch(60)  # what is imported late counts for no input
    for data in seeds:
        watch.check(reader.read, data)
    watch.seconds = SECONDS

    @settings(
        max_examples=SLOW.get(name, EXAMPLES),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds), edits(reader.words))
    def holds(seed, changes):
        watch.check(reader.read, edited(seed, changes))

    holds()


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_good_inputs(name):
    """Or mutations of them would not get far."""
    watch = Watch(60)
    seeds = READERS[name].seeds()
    for data in seeds:
        watch.check(READERS[name].read, data)
    assert len(seeds) - watch.refused >= 2


def test_a_kill_while_a_file_is_read_changes_no_notes():
    killing = Killing(READERS["abc"].read)
    for data in READERS["abc"].seeds()[:3]:
        killing(data)
    assert killing.kills


@pytest.mark.parametrize(
    ("outcomes", "told"), [("abb", "killed: read: b"), ("aab", "after a kill: read: b")]
)
def test_notes_that_a_kill_changes_are_seen(outcomes, told):
    results = iter(outcomes)
    with pytest.raises(AssertionError, match=told):
        Killing(lambda data: next(results))(b"")


def test_mutations_are_as_varied_as_they_should_be():
    rng = random.Random(0)
    made = {mutated(rng, [b"abcdefgh"], [b"WORD"]) for _ in range(200)}
    assert len(made) > 150
    assert any(b"WORD" in data for data in made)
    assert mutated(random.Random(1), [b"ab"], [b"c"]) == mutated(random.Random(1), [b"ab"], [b"c"])


def hang(data):
    while True:
        pass


def hog(data):
    import numpy as np

    return np.ones(600 * 2**20, np.uint8).sum()


def crash(data):
    return data[10**6]


def accident(data):
    int("x")


@pytest.mark.parametrize(
    ("reader", "told"),
    [
        (hang, "more than 0.3 s of CPU"),
        (hog, "MB; expected 500"),
        (crash, "not an error that readers may raise: IndexError"),
        (accident, "not raised on purpose"),
    ],
)
def test_the_watch_finds(reader, told):
    with pytest.raises(FindingError, match=told):
        Watch(0.3 if reader is hang else 30).check(reader, b"")


def test_the_watch_lets_pass():
    from envs.music.key import Key

    watch = Watch()
    watch.check(lambda data: Key.parse("C"), b"")
    watch.check(lambda data: Key.parse("H"), b"")
    assert watch.refused == 1
