"""Compare variations of the network and its training: `python -m experiments.compare` (README.md)."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import yaml

from experiments import cells, table
from experiments.cells import Cell, CompareError, Variation
from mmer.config import Params
from mmer.data.clips import Clip, read_manifest, with_modalities
from mmer.labels import MODALITIES, ModalityName
from mmer.params import load_params
from mmer.training.checkpoints import data_key
from stages import run_stage

HERE = Path(__file__).parent
END = "<!-- end of the table -->"


def main() -> None:
    """Train what is not done yet, a process with one thread for each; then write the table and the figure."""
    parser = argparse.ArgumentParser(prog="python -m experiments.compare", description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the base")
    parser.add_argument("--variations", type=Path, default=HERE / "demo.yaml")
    parser.add_argument(
        "--branch", choices=MODALITIES, help="of the base only this branch, trained as its train.branches says"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="of the variations these (and what they are compared with)"
    )
    parser.add_argument("--data", type=Path, default=Path("data"), help="prepared: clips.parquet and processed/")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="changed in the base and in all others"
    )
    parser.add_argument("--jobs", type=int, default=-1, help="trainings at once; -1 is one per core")
    parser.add_argument("--out", type=Path, default=Path("reports/compare"))
    parser.add_argument(
        "--document", type=Path, help="also write the table between its marks, and the figure beside it"
    )
    given = parser.parse_args()

    changed = dict(pair.split("=", 1) for pair in given.set)
    params = load_params(given.params, {key: yaml.safe_load(value) for key, value in changed.items()})
    if given.branch:
        params = branch_alone(params, given.branch)
    variations, left_out = cells.read_variations(given.variations, params)
    if given.only:
        variations = chosen(variations, given.only)
    clips = [c for c in read_manifest(given.data / "clips.parquet") if c.corpus in params.corpora]
    clips = with_modalities(clips, params.model.modalities)
    key = data_key(params, given.data / "clips.parquet", clips, given.data / "processed")
    jobs = [(v, seed) for seed in range(given.seeds) for v in variations]
    done = train(jobs, given.jobs, key, clips, given.data / "processed")
    of_variation = {v.name: [cell for (w, _), cell in zip(jobs, done, strict=True) if w is v] for v in variations}
    graphs = {v.name: cells.file_of(v, 0, key).with_suffix(".onnx") for v in variations}

    test = [c for c in clips if c.split == "test"]
    resamples = params.evaluate.bootstrap
    compared = table.rows(variations, of_variation, cells.live_times(graphs, params.input.step_s), test, resamples)
    told = table.in_words(variations, test, given.seeds, resamples, left_out)
    text = table.markdown(compared, told, given.seeds)
    text += table.missing_markdown(table.missing(variations, of_variation, test, resamples))
    given.out.mkdir(parents=True, exist_ok=True)
    table.write_csv(compared, given.out / "table.csv")
    (given.out / "table.md").write_text(text)
    table.draw(compared, test, given.out / "comparison.png")
    if given.document:
        name = given.variations.stem
        into_document(given.document, name, text)
        table.draw(compared, test, given.document.with_name(f"{given.document.stem}-{name}.png"))
    print(text)
    print(f"{len(done)} trainings, {sum(cell.seconds for cell in done) / 60:.0f} minutes of one core")


def train(
    jobs: Sequence[tuple[Variation, int]], workers: int, key: str, clips: Sequence[Clip], processed: Path
) -> list[Cell]:
    """The cells of these jobs, in their order."""
    from joblib import Parallel, delayed
    from tqdm import tqdm

    pool = Parallel(n_jobs=workers, return_as="generator")
    tasks = (delayed(cells.run)(variation, seed, key, clips, processed) for variation, seed in jobs)
    return list(tqdm(pool(tasks), total=len(jobs), desc="compare", unit="training"))


def chosen(variations: list[Variation], names: list[str]) -> list[Variation]:
    """The variations of these names, with those that they are compared with."""
    known = {v.name: v for v in variations}
    if unknown := [name for name in names if name not in known]:
        raise CompareError(f"there is no variation {unknown[0]!r}. Known: {', '.join(known)}")
    wanted = {cells.BASE, *names, *(known[name].against for name in names)}
    return [v for v in variations if v.name in wanted]


def branch_alone(params: Params, name: ModalityName) -> Params:
    """Parameters of a network of this branch alone, trained as it is trained there."""
    model = params.model.model_copy(update={"modalities": (name,)})
    return params.model_copy(update={"model": model, "train": params.train.of_branch(name)})


def into_document(path: Path, name: str, text: str) -> None:
    """Put the table between the marks that a document has for the variations of this name.

    Raises:
        CompareError: it has no marks.
    """
    begin = f"<!-- table: experiments/{name}.yaml -->"
    before, found, rest = path.read_text().partition(begin)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise CompareError(f"{path} has no place for the table: it needs the lines {begin} and {END}")
    path.write_text(f"{before}{begin}\n\n{text}\n{END}{after}")


if __name__ == "__main__":
    run_stage(main)
