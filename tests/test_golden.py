import pytest

from tests.playthrough import GOLDEN, PLAYS, play


@pytest.mark.parametrize("name", PLAYS)
def test_playthrough_is_as_recorded(name):
    assert play(name) == (GOLDEN / f"{name}.txt").read_text()


def test_no_recording_without_a_play():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(PLAYS)
