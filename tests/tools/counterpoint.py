"""Figures of species counterpoint on random cantus firmi: python -m tests.tools.counterpoint

For each species: the share of requests that keep all hard rules, the processor's seconds of a
request, and the distinct solutions to one cantus firmus.
"""

import argparse
import time

import numpy as np

from agents.composing.parts.counterpoint import (
    Counterpoint,
    cantus_composer,
    cantus_request,
    counterpoint_composer,
    demands_of,
    pack,
)
from envs.music.score import Score
from envs.music.voices.cantus import MODES, Cantus

FINALS = dict(zip(MODES, "CDEFGA", strict=True))


def cantus_firmi(n, seed):
    """Random cantus firmi of 8 to 12 notes in all modes, which keep the rules of their own."""
    rng, composer, found = np.random.default_rng(seed), cantus_composer(), []
    while len(found) < n:
        place = int(rng.choice(list(MODES)))
        key = f"{FINALS[place]} {MODES[place]}"
        asked = {"bars": int(rng.integers(8, 13)), "seed": int(rng.integers(2**31))}
        (line,) = composer.compose(cantus_request(key, candidates=1, **asked))
        score = line.score
        found.append(Cantus(tuple(int(p) for p in score.pitch[score.onset]), score.task.key))
    return found


def keeps(score, species):
    """True (B,) where whole pieces keep all hard rules, judged anew."""
    whole, good = Score(score.tokens, score.task), np.ones(score.batch, bool)
    for rule in demands_of(species):
        good &= ~(rule(whole) > 0).any(axis=(1, 2))
    return good


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=100)
    parser.add_argument("--species", type=int, nargs="*", default=[1, 2, 3, 4, 5])
    parser.add_argument("--seed", type=int, default=15)
    asked = parser.parse_args()
    firmi = cantus_firmi(asked.n, asked.seed)
    print(f"{len(firmi)} cantus firmi, {len({c.pitches for c in firmi})} different", flush=True)
    for species in asked.species:
        composer, kept, seconds, refused = counterpoint_composer(species), 0, [], []
        for number, cantus in enumerate(firmi):
            wanted = Counterpoint(cantus, species, above=number % 2 == 0)
            began = time.process_time()
            try:
                (melody,) = composer.compose(wanted.request(seed=number))
                kept += int(keeps(melody.score, species)[0])
            except ValueError as error:
                refused.append(f"{number}: {error}")
            seconds.append(time.process_time() - began)
        fux = Counterpoint(Cantus.fux("D"), species)
        many = composer.compose(fux.request(n=100, candidates=1, seed=1))
        lines = {str(melody) for melody in many}
        print(
            f"species {species} ({pack(species)}): kept {kept} of {len(firmi)}; CPU seconds mean "
            f"{np.mean(seconds):.2f}, median {np.median(seconds):.2f}, worst {max(seconds):.2f}; "
            f"of 100 solutions to one of Fux {len(lines)} distinct",
            flush=True,
        )
        for line in refused:
            print("   ", line)


if __name__ == "__main__":
    main()
