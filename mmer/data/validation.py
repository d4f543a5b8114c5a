"""What must hold of the prepared data before anything learns from it, checked with Great Expectations.

The expectations are data: `rules` lists them, one suite for each table. A broken critical one stops the pipeline and
names the first clips; a broken warning is printed and recorded.
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mmer.config import Params
from mmer.data import corpora
from mmer.data.clips import MANIFEST, Clip, SplitName, read_manifest, write_manifest
from mmer.data.corpora import CHECKSUMS
from mmer.data.samples import load_sample
from mmer.data.splits import assign_splits, sides
from mmer.errors import MmerError
from mmer.labels import EMOTIONS
from mmer.reporting import counted
from mmer.runtime.grid import SAMPLE_RATE

if TYPE_CHECKING:
    import pandas as pd


SPLITS: tuple[SplitName, ...] = ("train", "val", "test")
SHOWN = 3
"""Clips named for each broken expectation and corpus."""
SAMPLE_COLUMNS = ("faces", "scenes", "voice", "present", "voice_over_s", "voice_lost", "face_off", "voice_off")
"""Empty, and not judged, where a sample cannot be read."""
Row = dict[str, Any]


class ValidationError(MmerError):
    """There is nothing to check; the message says what to do."""


@dataclass(frozen=True)
class Rule:
    """One expectation: what it says, Great Expectations' name for it and its arguments."""

    says: str
    kind: str
    arguments: dict[str, Any]
    severity: Literal["critical", "warning"] = "critical"


@dataclass
class Report:
    """What validation found."""

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """Worth knowing, and nothing wrong."""
    expectations: int = 0
    corpora: dict[str, Row] = field(default_factory=dict)

    @property
    def success(self) -> bool:
        return not self.errors

    def __str__(self) -> str:
        counts = {"expectation": self.expectations, "error": len(self.errors), "warning": len(self.warnings)}
        head = ", ".join(counted(count, noun) for noun, count in counts.items())
        told = {"ERROR": self.errors, "warning": self.warnings, "note": self.notes}
        return "\n".join([head, *(f"{kind} {line}" for kind, lines in told.items() for line in lines)])


def rules(params: Params) -> dict[str, list[Rule]]:
    """The expectations of each table; `id` names a row, `CORPUS/...`."""
    limits, step = params.validate_, params.input.step_s

    def among(column: str, values: Iterable[str]) -> tuple[str, Row]:
        return "ExpectColumnValuesToBeInSet", {"column": column, "value_set": list(values)}

    def between(column: str, low: float | None, high: float | None) -> tuple[str, Row]:
        return "ExpectColumnValuesToBeBetween", {"column": column, "min_value": low, "max_value": high}

    face, scene = (f"uint8 [T, {n}, {n}, 3]" for n in (params.input.face_size, params.input.scene_size))
    longest = params.media.max_duration_s + 1
    sha256 = {"column": "sha256", "regex": "^[0-9a-f]{64}$"}
    return {
        "clips": [
            Rule("a clip's id is its own", "ExpectColumnValuesToBeUnique", {"column": "id"}),
            Rule("labels are the seven emotions", *among("label", EMOTIONS)),
            Rule("a clip is no longer than media allows (seconds)", *between("duration_s", 0, longest)),
            Rule("a clip has steps", *between("steps", 1, None)),
            Rule("faces are a share of steps", *between("face_rate", 0, 1)),
            Rule("voice is a share of steps", *between("voice_rate", 0, 1)),
            Rule("a file is known by its sha256", "ExpectColumnValuesToMatchRegex", sha256),
            Rule("a file is what was fetched, by its sha256", *among("fetched", [""])),
            Rule("one file is not two speakers or two emotions", *between("owners", 1, 1)),
            Rule("one image of an unknown person has one emotion (emotions)", *between("labels", 1, 1), "warning"),
            Rule("a file comes once (times)", *between("copies", 1, 1), "warning"),
            Rule("a split is train, val, test or unused, if it is given", *among("split", (*SPLITS, "unused"))),
        ],
        "samples": [  # T is the number of steps that the manifest tells
            Rule("a sample can be read", *among("problem", [""])),
            Rule("faces are as params.yaml and the manifest say", *among("faces", [face])),
            Rule("scenes are as params.yaml and the manifest say", *among("scenes", [scene])),
            Rule("voice is mono int16", *among("voice", ["int16 [N]"])),
            Rule("presence is told for each step and modality", *among("present", ["bool [T, 3]"])),
            Rule("the voice is no longer than the steps (seconds over)", *between("voice_over_s", None, step + 0.001)),
            Rule("where there is voice there is sound (steps without)", *between("voice_lost", 0, 0)),
            Rule("the manifest's face_rate is the sample's (difference)", *between("face_off", 0, 0.001)),
            Rule("the manifest's voice_rate is the sample's (difference)", *between("voice_off", 0, 0.001)),
        ],
        "speakers": [Rule("a speaker is on one side of the split", *among("sides", SPLITS))],
        "files": [Rule("a file is on one side of the split", *among("sides", SPLITS))],
        "corpora": [
            Rule("a corpus is no larger than its owner's (too many)", *between("surplus", 0, 0)),
            Rule("a corpus is complete", *among("missing", [""]), "warning"),
            Rule("every clip could be prepared (left out)", *between("bad", 0, 0), "warning"),
            Rule("faces are found in pictures (share)", *between("face_rate", limits.min_face_rate, 1), "warning"),
            Rule("test speakers are enough", *between("test_speakers", limits.min_speakers, None), "warning"),
            Rule("classes are balanced (ratio)", *between("class_ratio", 1, limits.max_class_ratio), "warning"),
        ],
        "emotions": [
            Rule("two emotions or more are trained", "ExpectTableRowCountToBeBetween", {"min_value": 2}),
            *(Rule(f"what is trained is in {s} (clips)", *between(s, 1, None), "warning") for s in SPLITS[1:]),
        ],
    }


def validate(
    params: Params,
    processed: Path,
    manifest: Path,
    report: Path,
    docs: Path | None = None,
    raw: Path | None = None,
) -> Report:
    """Check the prepared corpora, assign splits and write the one manifest of all.

    Args:
        params: which corpora, how they are split, and the limits.
        processed: `data/processed`; holds `CORPUS/clips.parquet` and one sample per clip.
        manifest: written, with splits, unless an error was found.
        report: JSON, written in any case; the same data gives the same bytes.
        docs: folder for Great Expectations' HTML pages, replaced; None for none.
        raw: `data/raw`; where it has `CORPUS/checksums.json`, the clips' files must be those that were fetched.

    Raises:
        ValidationError: a corpus is not prepared.
    """
    import pandas as pd

    frames = []
    for name in params.corpora:
        path = processed / name / MANIFEST
        if not path.is_file():
            raise ValidationError(f"{path} is missing: prepare it with `dvc repro crop@{name}`")
        frames.append(pd.read_parquet(path))
    manifest.unlink(missing_ok=True)  # that of another time must not outlive an error
    found, checks = Report(), _Checks(rules(params))
    # Read as a bare table first: a manifest with a wrong value would not become clips at all.
    recorded = {name: _recorded(raw / name if raw else None) for name in params.corpora}
    checks.run("clips", _clips_table(pd.concat(frames, ignore_index=True), recorded), found)
    if found.success:
        listed = [c for name in params.corpora for c in read_manifest(processed / name / MANIFEST)]
        clips = assign_splits(listed, params.split)
        samples = pd.DataFrame([_sample_row(c, processed, params) for c in _progress(clips)])
        checks.run("samples", samples, found)
        checks.run("speakers", _sides_table(sides(clips, lambda c: c.person)), found)
        first = {c.sha256: f"{c.corpus}/{c.clip_id}" for c in reversed(clips)}
        checks.run("files", _sides_table(sides(clips, lambda c: first[c.sha256])), found)
        for name in params.corpora:
            official, own = ([c for c in of if c.corpus == name] for of in (listed, clips))
            found.corpora[name] = _corpus_row(name, official, own, samples[samples["corpus"] == name], processed)
            left = found.corpora[name]["unused"].items()
            found.notes += [f"{name}: {counted(count, 'clip')} not used: {why}" for why, count in left]
        table = pd.DataFrame([{"id": name} | row for name, row in found.corpora.items()])
        checks.run("corpora", table.drop(columns=["classes", "splits", "unused"]), found)
        checks.run("emotions", _emotions_table(clips), found)
    if docs is not None:
        checks.write_docs(docs)
    content = {"success": found.success, "expectations": found.expectations, "errors": found.errors}
    content |= {"warnings": found.warnings, "notes": found.notes, "corpora": found.corpora}
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(json.dumps(content, indent=2) + "\n")
    if found.success:
        write_manifest(manifest, clips)
    return found


class _Checks:
    """Great Expectations, in memory: one suite for each table."""

    def __init__(self, suites: dict[str, list[Rule]]) -> None:
        os.environ["GX_ANALYTICS_ENABLED"] = "false"  # before the import, which reads it
        import great_expectations as gx
        from great_expectations.data_context.types import base

        in_memory = base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False)
        quiet = base.ProgressBarsConfig(globally=False)
        config = base.DataContextConfig(store_backend_defaults=in_memory, progress_bars=quiet)
        self.suites, self.gx = suites, gx
        self.context = gx.get_context(mode="ephemeral", project_config=config)
        self.source = self.context.data_sources.add_pandas("prepared")

    def run(self, name: str, table: pd.DataFrame, found: Report) -> None:
        """Hold a table against its suite and add what is broken to the report."""
        expectations = [
            getattr(self.gx.expectations, r.kind)(**r.arguments, severity=r.severity, description=r.says)
            for r in self.suites[name]
        ]
        suite = self.context.suites.add(self.gx.ExpectationSuite(name=name, expectations=expectations))
        batch = self.source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        definition = self.gx.ValidationDefinition(name=name, data=batch, suite=suite)
        outcome = self.context.validation_definitions.add(definition).run(
            batch_parameters={"dataframe": table},
            result_format={"result_format": "COMPLETE", "unexpected_index_column_names": ["id"]},
        )
        results = {r.expectation_config.description: r for r in outcome.results}
        for rule in self.suites[name]:
            found.expectations += 1
            if not results[rule.says].success:
                told = found.errors if rule.severity == "critical" else found.warnings
                told += [f"{rule.says}: {broken}" for broken in _broken(rule, results[rule.says])]

    def write_docs(self, folder: Path) -> None:
        """The HTML pages of all that ran."""
        shutil.rmtree(folder, ignore_errors=True)
        store = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder.resolve())}
        index = {"class_name": "DefaultSiteIndexBuilder"}
        site = {"class_name": "SiteBuilder", "store_backend": store, "site_index_builder": index}
        self.context.add_data_docs_site("mmer", site)
        self.context.build_data_docs(site_names=["mmer"])


def _broken(rule: Rule, result: Any) -> list[str]:
    """A failed expectation in words, one line for each corpus: the first rows and what they hold."""
    rows = result.result.get("unexpected_index_list")
    if not rows:
        return [str(result.result.get("observed_value", result.exception_info))]
    by_corpus: dict[str, list[str]] = {}
    for row in rows:
        value = row[rule.arguments["column"]]
        value = f"{value:.4g}" if isinstance(value, float) else str(value)
        of = by_corpus.setdefault(row["id"].split("/")[0], [])
        of.append(row["id"] if value == row["id"] else f"{row['id']}: {value}")
    more = {name: f" and {len(of) - SHOWN} more" if len(of) > SHOWN else "" for name, of in by_corpus.items()}
    return ["; ".join(of[:SHOWN]) + more[name] for name, of in by_corpus.items()]


def _progress(clips: list[Clip]) -> Iterable[Clip]:
    from tqdm import tqdm

    return tqdm(clips, desc="validate", unit="clip")


def _recorded(raw: Path | None) -> dict[str, str]:
    """The sha256 of each file of a corpus when it was fetched, as far as that was recorded."""
    path = raw / CHECKSUMS if raw else None
    if path is None or not path.is_file():
        return {}
    return {name: entry["sha256"] for name, entry in json.loads(path.read_text()).items()}


def _clips_table(table: pd.DataFrame, recorded: dict[str, dict[str, str]]) -> pd.DataFrame:
    """The manifest's plain columns, and of each clip's file: whether it is the one that was fetched, how many (speaker,
    emotion) it is of, how many emotions where no speaker is known, and how often it comes. Of clips that are not used
    only the first is asked.
    """
    table["id"] = table["corpus"] + "/" + table["clip_id"]
    used, known = table["split"] != "unused", table["speaker"] != table["clip_id"]
    table["owner"] = table["corpus"] + "/" + table["speaker"].where(known, "") + "/" + table["label"]
    table["label"] = table["label"].where(used | (table["label"] != ""))  # what is not used may have none
    files = table[used].groupby("sha256")
    owners = files["owner"].transform("nunique").reindex(table.index, fill_value=1)
    table["owners"], table["labels"] = owners.where(known, 1), owners.where(~known, 1)
    table["copies"] = files["id"].transform("size").reindex(table.index, fill_value=1).where(owners == 1, 1)
    whole = table["end_s"].isna() & (table["start_s"] == 0)  # the hash of a part is not that of its file
    files_now = zip(table["corpus"], table["path"], table["sha256"], whole, strict=True)
    table["fetched"] = [
        "another sha256 was recorded" if asked and recorded[corpus].get(path, now) != now else ""
        for corpus, path, now, asked in files_now
    ]
    columns = ["id", "label", "split", "duration_s", "steps", "face_rate", "voice_rate", "sha256", "fetched"]
    return table[[*columns, "owners", "labels", "copies"]]


def _sample_row(clip: Clip, processed: Path, params: Params) -> Row:
    """What a sample's file holds, beside what its clip says of it. T stands for the clip's number of steps."""
    row: Row = dict.fromkeys(SAMPLE_COLUMNS)
    row |= {"id": f"{clip.corpus}/{clip.clip_id}", "corpus": clip.corpus, "problem": "", "pictures": 0, "with_face": 0}
    try:
        sample = load_sample(processed / clip.sample)
    except Exception as error:  # numpy, zipfile and zlib each have their own errors for a damaged file
        return row | {"problem": f"{type(error).__name__}: {error}".splitlines()[0]}
    for name in ("faces", "scenes", "present"):
        array = getattr(sample, name)
        sizes = ["T" if k == 0 and n == clip.steps else str(n) for k, n in enumerate(array.shape)]
        row[name] = f"{array.dtype} [{', '.join(sizes)}]"
    row["voice"] = f"{sample.voice.dtype} [{'N' if sample.voice.ndim == 1 else sample.voice.shape}]"
    if row["present"] != "bool [T, 3]" or sample.voice.ndim != 1:
        return row
    face, scene, voice = sample.present.T
    step, seconds = params.input.step_s, len(sample.voice) / SAMPLE_RATE
    starts = (np.arange(clip.steps) + 1) * step - params.input.voice_window_s
    row |= {
        "voice_over_s": seconds - clip.steps * step,
        "voice_lost": int((voice & (starts >= seconds)).sum()),
        "voice_off": abs(clip.voice_rate - voice.mean()),
        "with_face": int(face.sum()),
    }
    pictures = int((face | scene).sum())  # a picture shows surroundings, or it is a tight crop and so a face
    return row | {"pictures": pictures, "face_off": abs(clip.face_rate - face.sum() / max(1, pictures))}


def _sides_table(found: dict[str, set[str]]) -> pd.DataFrame:
    """One row per speaker or file: the sides of the split that it is on."""
    import pandas as pd

    rows = [{"id": name, "sides": " and ".join(sorted(on))} for name, on in sorted(found.items())]
    return pd.DataFrame(rows, columns=["id", "sides"])


def _emotions_table(clips: list[Clip]) -> pd.DataFrame:
    """One row per emotion that is trained: its clips in each split."""
    import pandas as pd

    count = Counter((c.label, c.split) for c in clips)
    rows = [{"id": emotion, **{split: count[emotion, split] for split in SPLITS}} for emotion in EMOTIONS]
    return pd.DataFrame([row for row in rows if row["train"]], columns=["id", *SPLITS])


def _corpus_row(name: str, official: list[Clip], clips: list[Clip], samples: pd.DataFrame, processed: Path) -> Row:
    """One corpus in numbers. face_rate is the share of steps with a face among those with a picture, None without any;
    `missing` is how much of the owner's whole is here, empty if all is; `surplus` counts what the whole does not have,
    `bad` the clips that preparing left out, `unused` those that are on no side, by reason.

    Args:
        official: its clips with the owner's split.
        clips: the same with the split that is used.
        samples: the rows of its samples.
    """
    corpus, used = corpora.get(name), [c for c in clips if c.split != "unused"]
    labels, on = Counter(c.label for c in used), Counter(c.split for c in clips)
    have = {
        "clips": len(clips),
        "speakers": len({c.speaker for c in clips if c.knows_speaker}),
        "pictures": int((samples["pictures"] > 0).sum()),
        "emotions": len({c.label for c in clips if c.label}),
    }
    over = {key: have[key] - whole for key, whole in corpus.expected.items() if key in have}
    splits = _of_splits(corpus.expected, official)
    over |= {split: count - corpus.expected[split] for split, count in splits.items()}
    missing = corpora.completeness(corpus, clips, have["pictures"])
    missing += "".join(f"; {n:,} of {corpus.expected[s]:,} {s}" for s, n in splits.items() if over[s] < 0)
    if over.get("emotions", 0) < 0:
        missing += f"; {have['emotions']} of {corpus.expected['emotions']} emotions"
    prepared = processed / name / "report.json"
    pictures, steps = int(samples["pictures"].sum()), sum(c.steps for c in clips)
    tested = {c.speaker for c in used if c.split == "test"}
    judged = tested and all(c.knows_speaker for c in used)
    return {
        **have,
        "hours": round(sum(c.duration_s for c in clips) / 3600, 4),
        "face_rate": round(int(samples["with_face"].sum()) / pictures, 4) if pictures else None,
        "voice_rate": round(sum(c.voice_rate * c.steps for c in clips) / steps, 4),
        "classes": {e: labels[e] for e in EMOTIONS},
        "class_ratio": round(max(labels.values()) / min(labels.values()), 4) if labels else None,
        "splits": {s: on[s] for s in (*SPLITS, "unused") if on[s] or s != "unused"},
        "unused": dict(
            sorted(Counter(c.unused_because or "no reason given" for c in clips if c.split == "unused").items())
        ),
        "test_speakers": len(tested) if judged else None,
        "missing": missing if any(n < 0 for n in over.values()) else "",
        "surplus": max(0, 0, *over.values()),
        "bad": len(json.loads(prepared.read_text())["bad"]) if prepared.is_file() else 0,
    }


def _of_splits(expected: Mapping[str, int], official: list[Clip]) -> dict[str, int]:
    """How much is here of the owner's parts, as far as their sizes are known. A clip that its reader does not let be
    used no longer says which part it was of: such clips fill up what lacks.
    """
    on = Counter(c.split for c in official)
    spare = on["unused"]
    have: dict[str, int] = {}
    for split in SPLITS:
        if split in expected:
            filled = min(spare, max(0, expected[split] - on[split]))
            have[split], spare = on[split] + filled, spare - filled
    return have
