"""Rows of models that are no priors, of other temperatures, and of the limit: real cells."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from agents.benchmarking import benchmark_methods, benchmark_report, families
from agents.benchmarking.bench import Bench
from agents.benchmarking.benchmark_methods import default_methods, find_method
from agents.benchmarking.cells import make_cell
from agents.benchmarking.families import ModelSearch
from agents.benchmarking.plan import choose, obstacle, open_folder
from agents.benchmarking.results import read
from agents.composing.infilling.filling import filled
from agents.evaluating.limit import TiltedPrior
from agents.evaluating.pool import draw_pool
from agents.evaluating.sampling import tempered_nats
from agents.runs.directory import Run
from envs.music.codec import Codec
from envs.music.score import Score
from envs.music.task import Task
from pretrained import checkpoint
from pretrained.families import FAMILIES
from pretrained.latent import Latent
from tests.agents.benchmarking.helpers import PIECES, begin, config, numbers
from tests.helpers import random_pieces
from tests.pretrained.random_infiller import RandomInfiller


class RandomLatent(RandomInfiller):
    """A toy whose points say by their sign how long its notes are; it fills no pages."""

    format, n_latent, fill = "random-latent/1", 3, None

    def encode(self, score):
        return torch.zeros(score.batch, 3)

    def decode(self, z, page, seed=0, temperature=1.0):
        tokens = np.full((len(z), *page.tokens.shape[1:]), 1, np.int16)
        for piece, point in zip(tokens, z, strict=True):
            piece[:, :: 2 if point[0] > 0 else 4] = 14
        return Score(tokens, page.task)


@pytest.fixture
def toys(monkeypatch, tmp_path):
    """A folder of checkpoints that ship: an infiller, a latent and a prior."""
    for kind in (RandomInfiller, RandomLatent):
        monkeypatch.setitem(FAMILIES, kind.format, kind)
    folder = tmp_path / "ships"
    folder.mkdir()
    checkpoint.save(folder / "toy.safetensors", RandomInfiller(Codec()))
    checkpoint.save(folder / "points.safetensors", RandomLatent(Codec()))
    monkeypatch.setattr(checkpoint, "SHIPPED", folder)
    return folder


def test_a_family_that_ships_has_its_rows(toys, monkeypatch):
    names = default_methods()
    assert {"fill:toy", "decode:points"} <= set(names)
    assert not {"fill:points", "decode:toy"} & set(names)
    way = ModelSearch("tries", None, lambda model: isinstance(model, Latent))
    monkeypatch.setitem(benchmark_methods.SEARCHES, "tried", way)
    names = default_methods()
    assert "tried:points" in names
    assert "tried:toy" not in names
    for name in names:
        assert find_method(name).name == name
    (toys / "toy.safetensors").unlink()
    assert "fill:toy" not in default_methods()


@pytest.fixture
def bench(toys, tiny_checkpoint, tmp_path):
    settings = config(tiny_checkpoint, tmp_path / "b")
    return begin(settings, ["prior"])


def test_cells_of_families(bench, toys):
    own = toys / "toy.safetensors"
    for name in ("fill:toy", f"fill:{own}@t=0.5", "decode:points"):
        make_cell(bench.out, name, 0)
    found = numbers(bench.out, "fill:toy")
    assert found["pieces"] == PIECES
    assert found["kl"] is None
    assert found["tokens"] == 32
    assert {"hidden/3-4 in", "hidden/5-6 right", "told apart", "near copies"} <= set(found)
    latent = numbers(bench.out, "decode:points")
    assert not any(name.startswith("hidden/") for name in latent)
    assert latent["distinct"] == 2 / PIECES
    results = read(bench.out, ["fill:toy"])
    assert list(results.rows) == ["fill:toy", "decode:points", f"fill:{own}@t=0.5"]
    assert results.rows["fill:toy"][0]["piece_cpu"] > 0
    benchmark_report.write(bench.out, ["fill:toy"], {}, [])
    text = (bench.out / "report.md").read_text()
    assert "| fill:toy | 1 filling | 1 | " in text
    assert "| decode:points | 1 draw | 1 | " in text


def test_a_temperature_fills_hidden_bars_at_it(bench):
    drawn, _ = bench.draw(find_method("fill:toy@t=0.5"), 0)
    assert drawn.temperature == 0.5
    assert isinstance(drawn.writer, RandomInfiller)


def test_a_search_is_a_method_by_what_it_can_have(bench, monkeypatch):
    def tried(model, page, reward, n, seed, calls):
        best = [filled(model, page, reward, calls, seed + k) for k in range(n)]
        tokens = [each.score.tokens[each.returns.argmax()] for each in best]
        cost = sum((each.compute for each in best), families.ComputeMeter().read())
        return families.SearchResult(
            Score(np.stack(tokens), page.task), np.array([r.returns.max() for r in best]), cost
        )

    way = ModelSearch("tries", tried, lambda model: type(model) is RandomInfiller)
    monkeypatch.setitem(benchmark_methods.SEARCHES, "tried", way)
    method = find_method("tried:toy@calls=4")
    assert method.n == 4
    drawn, _ = bench.draw(method, 0)
    plain, _ = bench.draw(find_method("fill:toy"), 0)
    assert drawn.cost.tokens == 2 * 4 * plain.cost.tokens  # the reward's prior reads them too
    assert bench.paid(drawn.score)[1].mean() > bench.paid(plain.score)[1].mean()
    with pytest.raises(ValueError, match="does not suit tried"):
        choose(["tried:points"], bench)


def test_what_a_checkpoint_cannot_be_used_for(bench, toys):
    for name, words in (
        ("fill:points", "fills no pages; expected an infiller, such as 'toy'"),
        ("decode:toy", "decodes no points; expected a latent, such as 'points'"),
        ("fill:nowhere", "no checkpoint 'nowhere'"),
    ):
        with pytest.raises(ValueError, match=words):
            choose([name], bench)


def test_a_checkpoint_that_changed_is_refused(bench, toys):
    make_cell(bench.out, "fill:toy", 0)
    open_folder(bench, [find_method("fill:toy")], 1)
    other = RandomInfiller(Codec())
    other.net["counts"].data[3] = 9.0
    checkpoint.save(toys / "toy.safetensors", other)
    with pytest.raises(ValueError, match="another file of 'toy'"):
        open_folder(bench, [find_method("fill:toy")], 1)


def test_log_probabilities_at_a_temperature(tiny_prior):
    score, t = random_pieces(Task(bars=1), 6), 0.6
    state, page = tiny_prior.start(score.task, 6), Score.page(score.task, 6)
    expected = []
    for cell in score.tokens[:, 0].T:
        logits, state = tiny_prior.step(state, page)
        scaled = np.where(page.allowed(), np.exp(logits.numpy().astype(float) / t), 0)
        expected.append(np.log(scaled[np.arange(6), cell] / scaled.sum(axis=1)))
        page = page.write(cell)
    found = tempered_nats(tiny_prior, score, t)
    assert found[:, 0] == pytest.approx(np.array(expected).T, abs=1e-4)
    assert tempered_nats(tiny_prior, score, 1.0) == pytest.approx(
        tiny_prior.log_prob(score), abs=1e-4
    )


def test_the_prior_at_other_temperatures(bench):
    cold, warm = (bench.draw(find_method(f"prior@t={t}"), 0)[0] for t in (0.5, 2.0))
    nats = [bench.prior.log_prob(each.score).mean() for each in (cold, warm)]
    assert nats[0] > nats[1]
    assert cold.kl > 0
    assert warm.kl > 0
    assert cold.temperature == 0.5


def test_pieces_of_the_limit_are_paid_as_it_is(bench):
    bench = Bench(replace(Run(bench.out / "settings").config, eval_pieces=40), bench.out)
    drawn = bench.limit(find_method("limit@kl=0.05"), 0)
    size = 1024 * 40
    tilted = TiltedPrior(draw_pool(bench.prior, bench.reward, bench.task, size, 999))
    at = tilted.at_kl(0.05)
    paid = bench.paid(drawn.score)[1]
    error = paid.std() / 40**0.5
    assert paid.mean() == pytest.approx(at.reward, abs=4 * error)
    assert drawn.kl == pytest.approx(0.05, rel=1e-3)
    firsts = drawn.score.tokens[: drawn.independent]
    assert np.isnan(drawn.cost.cpu_seconds)
    assert drawn.independent <= 40
    assert len(firsts) == drawn.independent


def test_families_that_ship_write_pieces_of_the_benchmarks_task(tiny_checkpoint, tmp_path):
    bench = begin(config(tiny_checkpoint, tmp_path / "b", pieces=2), ["prior"])
    names = [f"fill:{name}" for name in families.infillers()]
    names += [f"decode:{name}" for name in families.decoders()]
    names += [f"{s}:{m}@calls=40" for s, way in families.SEARCHES.items() for m in way.models()]
    methods = [find_method(name) for name in names]
    able = [method for method in methods if not obstacle(method, bench)]
    assert {"fill:diffusion", "guided:diffusion@calls=40"} <= {method.name for method in able}
    for method in able:
        drawn, _ = bench.draw(method, 0)
        assert drawn.score.finished
        assert drawn.score.batch == 2
        assert drawn.cost.cpu_seconds > 0
