"""Claims about the comparison: it is data, it goes on where it was cut, and differences are paired."""

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from experiments import cells, compare, table
from experiments.cells import Cell, CompareError, Variation, read_variations
from mmer.config import ConfigError, Params
from mmer.data.clips import Clip
from mmer.labels import EMOTIONS
from mmer.params import load_params
from tests.conftest import ROOT
from tests.tiny import SMALL_NETWORK, tiny_corpus

EXPERIMENTS = ROOT / "experiments"


@pytest.mark.parametrize("file", sorted(EXPERIMENTS.glob("*.yaml")), ids=lambda file: file.stem)
def test_every_variation_changes_the_base_and_is_valid(
    file: Path, params: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MMER_MIRROR", raising=False)
    base = compare.branch_alone(load_params(ROOT / "release/params.yaml"), "voice") if file.stem == "voices" else params
    found, left_out = read_variations(file, base)
    assert found[0].name == "base"
    assert found[0].params == base
    assert len({v.name for v in found}) == len(found) > 1
    assert len({str(v.params) for v in found}) == len(found), "each differs from all others"
    weights = ["full width, started from face recognition"] if file.stem == "faces" else []
    assert left_out == weights, "they are not here"


def test_the_demo_table_has_every_kind(params: Params) -> None:
    found, _ = read_variations(EXPERIMENTS / "demo.yaml", params)
    kinds = {v.params.model.temporal.kind for v in found}, {v.params.model.fusion for v in found}
    assert kinds == ({"lstm", "gru", "attention", "mean"}, {"concat", "gated", "cross_attention", "late"})


def test_a_branch_alone_is_trained_as_the_profile_trains_it() -> None:
    whole = load_params(ROOT / "release/params.yaml")
    alone = compare.branch_alone(whole, "voice")
    assert alone.model.modalities == ("voice",)
    assert alone.train == whole.train.of_branch("voice")
    assert (alone.train.epochs, alone.train.branches) == (whole.train.branches["voice"]["epochs"], {})
    assert alone.model.voice == whole.model.voice


def test_a_wrong_variation_is_told(params: Params, tmp_path: Path) -> None:
    path = tmp_path / "variations.yaml"
    path.write_text("Fusion:\n  gated: {model.fusoin: gated}\n")
    with pytest.raises(ConfigError, match=r"'model\.fusoin'\. Did you mean 'fusion'"):
        read_variations(path, params)
    path.write_text("Fusion:\n  gated: {against: late, model.fusion: gated}\n")
    with pytest.raises(CompareError, match="compared with 'late', which does not stand before it"):
        read_variations(path, params)
    path.write_text("Level:\n  followed: {input.level: {}}\n")
    with pytest.raises(CompareError, match="'followed' changes more than model and train"):
        read_variations(path, params)


def clips(speakers: int = 4) -> list[Clip]:
    return [
        Clip(clip_id=f"{s}{e}", corpus="demo", speaker=f"s{s}", label=e, split="test", path="x", has_voice=True)
        for s in range(speakers)
        for e in EMOTIONS
    ]


def cell(seed: int, answers: np.ndarray) -> Cell:
    return Cell(seed, answers.tolist(), 0.5, 1000, 1e6, 4000, 1.0)


def test_differences_are_paired_over_the_same_speakers(params: Params) -> None:
    test = clips()
    truth = np.array([c.target for c in test])
    half = np.where(np.arange(len(truth)) < len(truth) // 2, truth, (truth + 1) % 7)  # right about two speakers
    names = ("base", "same", "right")
    variations = [Variation("g", name, "base", params) for name in names]
    answers = {"base": [half, half], "same": [half, half], "right": [truth, truth]}
    of = {name: [cell(i, a) for i, a in enumerate(answers[name])] for name in names}
    base, same, right = table.rows(variations, of, dict.fromkeys(names, 2.0), test, resamples=200)
    assert base.uar == 0.5
    assert (base.low, base.high) == (0, 1), "it knows two speakers of four"
    assert (base.seeds_low, base.seeds_high) == (0.5, 0.5), "both trainings answered the same"
    assert (same.difference, same.difference_low, same.difference_high) == (0, 0, 0), "although its UAR is unsure"
    assert right.difference == 0.5
    assert (same.better, right.better) == (0, 2)
    text = table.markdown([base, same, right], "How.", seeds=2)
    assert "| right | 1.000 | 1.000 to 1.000 | 1.000 to 1.000 | base | +0.500 (+0.000 to +1.000) | 2 of 2 |" in text


def test_a_modality_taken_away_is_held_against_a_training_without_it(params: Params) -> None:
    test = clips()
    truth = np.array([c.target for c in test])
    wrong = (truth + 1) % 7
    deaf = params.model_copy(update={"model": params.model.model_copy(update={"modalities": ("face", "scene")})})
    variations = [Variation("", "base", "base", params), Variation("g", "without voice", "base", deaf)]
    base = replace(cell(0, truth), without={"voice": wrong.tolist(), "face": truth.tolist()})
    of = {"base": [base], "without voice": [cell(0, truth)]}
    (found,) = table.missing(variations, of, test, resamples=100)
    assert (found.modality, found.taken, found.untrained, found.difference) == ("voice", 0, 1, -1)
    assert "| voice | 0.000 | 1.000 | -1.000 (-1.000 to -1.000) |" in table.missing_markdown([found])
    assert table.missing(variations[:1], of, test, resamples=100) == []


@pytest.mark.slow
def test_the_comparison_goes_on_where_it_was_and_writes_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = load_params(ROOT / "params.yaml", SMALL_NETWORK | {"evaluate.bootstrap": 100})
    Path("params.yaml").write_text(yaml.safe_dump(small.model_dump(mode="json", by_alias=True)))
    tiny_corpus(tmp_path / "data/processed", small)
    Path("data/processed/clips.parquet").rename("data/clips.parquet")
    Path("doc.md").write_text(f"Before.\n\n<!-- table: experiments/demo.yaml -->\nOLD TABLE\n{compare.END}\n\nAfter.\n")
    command = [
        "compare",
        "--only",
        "GRU",
        "--seeds",
        "2",
        "--set",
        "train.epochs=1",
        "--jobs",
        "1",
        "--document",
        "doc.md",
    ]
    monkeypatch.setattr(sys, "argv", command)
    compare.main()
    done = {f: f.read_bytes() for f in cells.FOLDER.glob("*.json")}
    assert len(done) == 4, "two variations, two seeds"
    assert not list(cells.FOLDER.glob("*.ckpt"))
    rows = list(csv.DictReader(Path("reports/compare/table.csv").read_text().splitlines()))
    assert [row["name"] for row in rows] == ["base", "GRU"]
    assert int(rows[1]["parameters"]) < int(rows[0]["parameters"])
    assert float(rows[1]["cpu_ms_per_s"]) > 0
    text = Path("doc.md").read_text()
    assert text.startswith("Before.\n\n<!-- table")
    assert text.endswith("\n\nAfter.\n")
    assert "| GRU |" in text
    assert "OLD TABLE" not in text
    assert "no evidence about people" in text
    assert Path("doc-demo.png").read_bytes()[:4] == b"\x89PNG"

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it is done already")

    monkeypatch.setattr(cells, "fit", never)
    compare.main()
    assert {f: f.read_bytes() for f in cells.FOLDER.glob("*.json")} == done
    assert Path("doc.md").read_text() == text
    monkeypatch.setattr(sys, "argv", [*command, "--only", "GRUU"])
    with pytest.raises(CompareError, match="no variation 'GRUU'"):
        compare.main()
