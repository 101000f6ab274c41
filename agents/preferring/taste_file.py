"""A taste in words, and as a reward in TOML that a person can read and edit."""

from __future__ import annotations

import json

import numpy as np

from agents.preferring.taste import Taste

UNSURE = 8  # features named that cannot be told yet, those that may matter most
FAINTEST = 0.02  # weight for a standard deviation, below which a term is left out
# More of a feature, in words; of a rule it is the violation. Others are named by the rule itself.
MORE = {
    "in_key": "notes outside the key",
    "leap_recovery": "leaps that are not recovered",
    "leap_size": "very large leaps",
    "dissonant_leap": "dissonant leaps",
    "two_leaps": "two leaps the same way",
    "tritone_outline": "outlines of a tritone",
    "augmented_second": "augmented seconds",
    "leading_note": "leading notes that do not rise",
    "chromatic_step": "chromatic steps",
    "opening_tonic": "beginnings off the tonic",
    "step_down_close": "closes other than by a step down",
    "final_tonic": "ends off the tonic",
    "repeated_notes": "notes struck many times in a row",
    "tessitura": "a compass beyond a tenth",
    "unique_climax": "a highest note that comes twice",
    "late_climax": "an early or final climax",
    "contour_arch": "lines that do not arch",
    "step_leap_balance": "too few steps or leaps",
    "pitch_entropy": "too few or too many degrees",
    "pitch_variety": "few different pitches",
    "downbeat": "first beats without a note",
    "ties_over_bar": "ties over the bar line",
    "syncopation": "syncopation",
    "rhythmic_variety": "too few or too many note lengths",
    "rhythmic_coherence": "rhythms that do not return",
    "note_density": "empty or crowded bars",
    "rest_share": "much silence",
    "motif_return": "openings that do not come back",
    "cadence": "phrases without a close",
    "opening_return": "a first bar that does not return",
    "sequence": "lines without a sequence",
    "copied_bars": "many copied bars",
    "bar_harmony": "bars that spell no chord",
    "harmonic_rhythm": "chords that last over the bar line",
    "static_harmony": "harmony that stays the same",
    "dominant_close": "closes without a dominant",
    "early_close": "full closes too early",
    "planned_climax": "a second half without a climax",
    "earned_register": "a close far below the line",
    "circling": "lines that circle in a small space",
    "aimless_turns": "runs that turn back at random",
    "note_rate": "many notes",
    "silent_share": "silence",
    "leap_rate": "leaps",
    "repeat_rate": "repeated pitches",
    "overall_rise": "lines that end higher than they begin",
    "compass_width": "a wide compass",
    "climax_place": "late climaxes",
    "climax_height": "high climaxes",
    "bar_echo": "bars that echo the one before",
    "surprise": "surprise",
}


def phrase(name: str) -> str:
    """Return more of a feature in words."""
    return MORE.get(name, f"breaks of {name}")


def likings(taste: Taste) -> list[str]:
    """Return what is liked and disliked, the strongest first, as 'likes leaps 1.2 +- 0.4'."""
    order = np.argsort(-np.abs(taste.estimates), kind="stable")
    told = [int(place) for place in order if taste.certain[place]]
    return [
        f"{'likes' if taste.estimates[place] > 0 else 'dislikes'} "
        f"{phrase(taste.features.names[place])} "
        f"{abs(taste.estimates[place]):.1f} +- {taste.errors[place]:.1f}"
        for place in told
    ]


def in_words(taste: Taste) -> str:
    """Return the taste in words, with what it cannot tell yet and how well it predicts."""
    lines = [*likings(taste)] or ["nothing is certain yet"]
    largest = np.argsort(-np.abs(taste.estimates) - taste.errors, kind="stable")
    unsure = [phrase(taste.features.names[n]) for n in largest if not taste.certain[n]]
    if unsure:
        more = f" and {len(unsure) - UNSURE} more" if len(unsure) > UNSURE else ""
        lines.append(f"cannot tell yet: {', '.join(unsure[:UNSURE])}{more}")
    if taste.features.constant:
        lines.append(
            f"hardly varies in these pieces: {', '.join(map(phrase, taste.features.constant))}"
        )
    share = f"{taste.agreement:.0%}" if np.isfinite(taste.agreement) else "none"
    lines.append(
        f"{taste.comparisons} comparisons; each fifth is predicted by the others: {share} of the "
        "answers left or right, where a coin has 50%"
    )
    return "\n".join(lines)


def as_toml(taste: Taste) -> str:
    """Return a taste as a reward file: `--reward prior=1 taste.toml=1` tunes to it.

    A weight is in nats of the odds of being liked, for each unit of its term; a weight below 0
    asks for what the rule forbids.
    """
    lines = [f"# {line}" for line in in_words(taste).split("\n")]
    lines += [
        "#",
        "# Behind each weight: the liking for a standard deviation more of it, with half the width",
        "# of its 95% interval. Weights are drawn towards 0 where that predicts better.",
        "[reward]",
    ]
    features = taste.features
    weights = features.weights_of_terms(taste.weights)
    for place in np.argsort(-np.abs(taste.weights), kind="stable"):
        name = features.names[place]
        weight = float(f"{weights[name]:.4g}")
        if abs(taste.weights[place]) < FAINTEST:
            break
        setting = features.spec[name]
        table = {**setting, "weight": weight} if isinstance(setting, dict) else {"weight": weight}
        inner = ", ".join(f"{key} = {json.dumps(item)}" for key, item in table.items())
        value = f"{{ {inner} }}" if len(table) > 1 else f"{weight!r}"
        said = f"{taste.estimates[place]:+.1f} +- {taste.errors[place]:.1f}, {phrase(name)}"
        lines.append(f"{name} = {value}  # {said}")
    return "\n".join(lines) + "\n"
