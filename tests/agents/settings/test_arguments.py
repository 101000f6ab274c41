"""Flags of a training: where they start from."""

from agents.settings.arguments import parse_arguments


def test_an_environment_of_several_voices_begins_with_its_preset():
    chorale, _ = parse_arguments(["--env", "composition/Chorale-v0"])
    assert (chorale.algo, chorale.prior) == ("pcl", "chorale")
    assert "satb_common_practice" in chorale.terms
    ppo, _ = parse_arguments(["--algo", "ppo", "--env", "composition/Chorale-v0"])
    assert (ppo.algo, ppo.prior, ppo.terms) == ("ppo", "chorale", chorale.terms)
    named, _ = parse_arguments(["--preset", "eight_bars", "--env", "composition/Chorale-v0"])
    assert named.prior == "melody"
