"""The checkpoints and packs that ship as a run began with them.

A checkpoint that ships may be trained anew under its name, and a pack may get other rules; the file
before it then ships under another name. A run goes on with the files that it began with, which its
provenance.json tells by their hashes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.settings.config import TrainConfig
from envs.durable_files import read_facts, sha256
from rewards.build import pack_files
from rewards.spec import as_text

PROVENANCE = "provenance.json"
# The files of these names until 0.6, whose runs tell the hash of their prior alone.
UNTIL_0_6 = {
    "folk": "c6c8b67d69074173b652a052b8cb3b386f5277d4b42dc9f9481f5f37af273429",
    "melody": "dce066106827ef0232a8acb2d42f773f3ad7bc4d2c2d6e3f9c6138ecec03e583",
    "composer": "0f9db0d89f84a3fdbab161faec2fdaf984c13ea6a89c5e36cc9c18e0abfcc511",
}
# The packs of these names until 0.7, whose runs do not tell their hashes.
PACKS_UNTIL_0_7 = {
    "common_practice": "2d6232eda911db4942d3e8451bbd3fc2ec2c0c36ea820dcc17126f55b05cce0f",
    "folk_dance": "9e295d0e0138a0df3edb1fb2e0c9bca59d4769cc14b25289ae41f4c57f95efeb",
    "pentatonic": "c6adc8b4a981caa7c64a182b159fea43a3d35a42aa6204714a65ebd1f684dd1e",
    "student_strict": "7e9e837c0aef9495ed3f855bf7e4f1307a97edf657d35f92b49b7da12f72fe58",
}


def as_begun(config: TrainConfig, folder: Path) -> TrainConfig:
    """Return settings that name the shipped checkpoints with which the run of a folder began.

    A name whose file has been replaced since becomes the name under which the old file ships now:
    as the prior, as the start, as a `checkpoint` of the reward, and as a pack of the reward or of
    the mask. Where the old file ships no more the name stays, and the run tells that its prior has
    changed.

    Args:
        config: settings.
        folder: of a run; without provenance.json there the settings are returned as they are.

    Raises:
        ValueError: provenance.json is damaged.
    """
    file = folder / PROVENANCE
    if not file.is_file():
        return config
    from pretrained.checkpoint import MEMORY, shipped  # late, as it loads torch

    facts = read_facts(file)
    then, ships = _hashes(facts, config.prior), shipped()
    now = {name: sha256(path) for name, path in ships.items()}
    names = {digest: name for name, digest in now.items()}

    def present(name: Any) -> Any:
        if not isinstance(name, str):
            return name
        stem = name.removesuffix(MEMORY)
        if stem not in then or then[stem] == now.get(stem):
            return name
        if (Path(stem) / "policy.safetensors").is_file():  # a run's directory, see `locate`
            return name
        return names.get(then[stem], stem) + name[len(stem) :]

    packs = _packs(facts)
    terms = {packs.get(name, name): value for name, value in config.terms.items()}
    for name, value in terms.items():
        if isinstance(value, Mapping) and present(value.get("checkpoint")) != value.get(
            "checkpoint"
        ):
            terms[name] = {**value, "checkpoint": present(value["checkpoint"])}
    changed = {"prior": present(config.prior), "start": present(config.start)}
    if [*terms.items()] != [*config.terms.items()]:
        changed["reward"] = tuple(map(as_text, terms, terms.values()))
    same = all(getattr(config, name) == value for name, value in changed.items())
    return config if same else replace(config, **changed)


def _hashes(facts: Mapping[str, Any], named: str) -> dict[str, str]:
    """Return the hash of the file that each name of a shipped checkpoint stood for.

    Args:
        facts: of provenance.json.
        named: the prior, by its name or the path of a file of one's own.
    """
    told, prior = facts.get("shipped"), facts.get("prior")
    found = dict(told) if isinstance(told, dict) else dict(UNTIL_0_6)
    if isinstance(prior, dict):
        name = str(prior.get("file")).removesuffix(".safetensors")
        if named == name:
            found[name] = prior.get("sha256")
    return {name: digest for name, digest in found.items() if isinstance(digest, str)}


def _packs(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the name under which each pack of provenance.json ships now, if it is another one."""
    told = facts.get("packs")
    then = told if isinstance(told, dict) else PACKS_UNTIL_0_7
    now = {name: sha256(path) for name, path in pack_files().items()}
    names = {digest: name for name, digest in now.items()}
    return {
        name: names[digest]
        for name, digest in then.items()
        if isinstance(digest, str) and digest in names and now.get(name) != digest
    }
