"""MLflow, all of it: runs, their files and data, and the registry of models.

The store is `mlflow.db` in the working directory (MLflow's own default, so that plain `mlflow ui` shows it), with files
under `mlruns/`; the environment variable MLFLOW_TRACKING_URI names another. Several processes may log at once. No id
of a run lies in any output of a stage, since outputs must be the same for the same input: a later stage finds the run
it belongs to by a tag that both can compute (`find("weights_sha256", ...)`).
"""

from __future__ import annotations

import os
import re
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmer.config import Params
from mmer.errors import MmerError
from mmer.files import sha256

EXPERIMENT = MODEL = "mmer"
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",  # its migrations and hints are long and ask for nothing
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of each run that ends, where a server is named
    "GIT_PYTHON_REFRESH": "quiet",
}
_PARAMS_PER_BATCH = 100  # MLflow's limit


@dataclass(frozen=True)
class Run:
    """One run in the store. Numbers and texts go in batches: a call costs about as much as a hundred values do."""

    id: str

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters; nested ones under dotted names. A parameter that is logged already cannot change."""
        from mlflow.entities import Param

        flat = [Param(_name(key), str(value)) for key, value in _flat(values).items()]
        for start in range(0, len(flat), _PARAMS_PER_BATCH):
            _client().log_batch(self.id, params=flat[start : start + _PARAMS_PER_BATCH])

    def metrics(self, values: Mapping[str, Any], step: int | None = None) -> None:
        """Log numbers; nested ones under dotted names. What is no number (a text, None) is left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        numbers = {key: float(value) for key, value in _flat(values).items() if isinstance(value, int | float)}
        if numbers:
            _client().log_batch(self.id, metrics=[Metric(_name(k), v, now, step or 0) for k, v in numbers.items()])

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags; a tag may change."""
        from mlflow.entities import RunTag

        _client().log_batch(self.id, tags=[RunTag(key, value) for key, value in values.items()])

    def outcome(self, told: str) -> None:
        """Say in a few words what came of it: as a tag, and at the end of the run's name."""
        self.tags({"outcome": told})
        old = _client().get_run(self.id)
        _client().update_run(self.id, name=f"{old.data.tags.get('title', old.info.run_name)} · {told}")

    def figure(self, path: Path, to: str = "") -> None:
        """Keep a file, or all files of a folder, below `to` among the run's files."""
        keep = _client().log_artifacts if path.is_dir() else _client().log_artifact
        keep(self.id, str(path), to or None)

    def dataset(self, manifest: Path, name: str) -> None:
        """Say which clips were used: a manifest as dataset `name`, with its digest, columns and number of clips."""
        import mlflow.data
        import pandas as pd
        from mlflow.entities import Dataset, DatasetInput, InputTag

        clips = pd.read_parquet(manifest, columns=["clip_id", "corpus", "speaker", "label", "split", "duration_s"])
        with warnings.catch_warnings(action="ignore"):  # MLflow knows two kinds of local file and says so each time
            data = mlflow.data.from_pandas(clips, source=str(manifest), name=name, digest=sha256(manifest)[:32])
        tag = InputTag("mlflow.data.context", name)
        _client().log_inputs(self.id, [DatasetInput(Dataset(**data.to_dict()), [tag])])

    def log_validation(self, report: Path, manifest: Path) -> None:
        """Keep what the data checks said, and the manifest that they passed as the dataset `clips`."""
        self.figure(report, "validation")
        self.dataset(manifest, "clips")


@contextmanager
def run(
    name: str, params: Params, *, tags: Mapping[str, str] | None = None, parent: Run | None = None
) -> Iterator[Run]:
    """A new run, which is closed whatever happens: FINISHED, FAILED if an error comes through, KILLED on Ctrl-C.

    Every run says where it comes from: the git revision, the sha256 of `dvc.lock`, the profile (the folder of its
    pipeline), the corpora, the stage, and all of `params.yaml`. Its name says profile and corpora too, unless
    it is a part of another.

    Args:
        name: begins the run's name; also the tag `stage` unless `tags` has one.
        params: logged under dotted names, `train.lr`.
        tags: set on top.
        parent: the run that this one is a part of (a trial of a search).
    """
    corpora, profile = params.corpora, _git("rev-parse", "--show-prefix").strip("/") or "main"
    of = ", ".join(corpora) if len(corpora) < 4 else f"{corpora[0]} and {len(corpora) - 1} more"
    title = name if parent else f"{name} · {profile}: {of}"
    lineage = {"stage": name, "profile": profile, "corpora": ",".join(corpora), "title": title}
    lineage |= {**_provenance(), **(tags or {})}
    if parent is not None:
        lineage["mlflow.parentRunId"] = parent.id
    new = Run(_client().create_run(_experiment(), run_name=title, tags=lineage).info.run_id)
    with _closing(new):
        # The search's storage may be a URL with a password in it.
        new.params(params.model_dump(by_alias=True, exclude={"tune": {"storage"}}))
        yield new


@contextmanager
def reopen(name: str, params: Params, *, key: str, parent: Run | None = None) -> Iterator[Run]:
    """The run of a work that may be cut and go on: the last run of that key if it did not finish, else a new one.

    Args:
        key: of the work's inputs (`mmer.training.checkpoints`); two works never share one.
        name, params, parent: as in `run`.
    """
    cut = _newest(f"tags.key = '{key}' AND attributes.status != 'FINISHED'")
    if cut is None:
        with run(name, params, tags={"key": key}, parent=parent) as new:
            yield new
    else:
        _client().update_run(cut.id, status="RUNNING")
        with _closing(cut):
            yield cut


def find(tag: str, value: str) -> Run | None:
    """The newest run whose tag has that value."""
    return _newest(f"tags.`{tag}` = '{value}'")


@contextmanager
def resume(old: Run) -> Iterator[Run]:
    """Add to a run that has ended. It shows as running meanwhile, then ends as and when it had ended."""
    info = _client().get_run(old.id).info
    _client().update_run(old.id, status="RUNNING")
    try:
        yield old
    finally:
        _client().set_terminated(old.id, info.status, info.end_time)


def register(
    graph: Path, detector: Path, run: Run, *, name: str = MODEL, alias: str = "champion", description: str
) -> str:
    """Put a packaged model into the registry: the ONNX graph, with the face detector's nets beside it.

    `mlflow.onnx.load_model("models:/mmer@champion")` gives it back.

    Args:
        graph: the ONNX file.
        detector: the folder of the detector's ONNX files, kept under `extra_files/`.
        run: the run that trained it.
        alias: moved to this version.

    Returns:
        The version, a number as text.
    """
    import mlflow.onnx
    import onnx
    from mlflow.models import Model
    from mlflow.models.signature import ModelSignature

    model = onnx.load(str(graph))
    logged = Model.log(
        artifact_path=None,
        name="model",
        flavor=mlflow.onnx,
        run_id=run.id,
        registered_model_name=name,
        onnx_model=model,
        save_as_external_data=False,
        onnx_execution_providers=["CPUExecutionProvider"],
        signature=ModelSignature(_schema(model.graph.input), _schema(model.graph.output)),
        extra_files=[str(file) for file in sorted(detector.glob("*.onnx"))],
        pip_requirements=[_pinned(package) for package in ("numpy", "onnx", "onnxruntime")],
    )
    version = str(logged.registered_model_version)
    _client().update_model_version(name, version, description)
    _client().set_registered_model_alias(name, alias, version)
    return version


class RegistryError(MmerError):
    """The registry does not answer, or holds not what it is asked for."""


@dataclass(frozen=True)
class Registered:
    """What the registry says of the model."""

    versions: tuple[str, ...]
    aliases: Mapping[str, str]
    """Names of versions."""
    tags: Mapping[str, str]


def registered() -> Registered:
    """Ask the registry.

    Raises:
        RegistryError: it does not answer, or no model was registered.
    """
    with _asking():
        found = _client().get_registered_model(MODEL)
        versions = sorted(int(one.version) for one in _client().search_model_versions(f"name = '{MODEL}'"))
    aliases = {alias: str(version) for alias, version in found.aliases.items()}
    return Registered(tuple(map(str, versions)), aliases, dict(found.tags))


def set_alias(alias: str, version: str | None) -> None:
    """Move an alias to a version; None takes it away.

    Raises:
        RegistryError: there is no such version, or the registry does not answer.
    """
    with _asking():
        if version is None:
            _client().delete_registered_model_alias(MODEL, alias)
        else:
            _client().set_registered_model_alias(MODEL, alias, version)


def set_tag(key: str, value: str) -> None:
    """Set a tag of the registered model.

    Raises:
        RegistryError: the registry does not answer.
    """
    with _asking():
        _client().set_registered_model_tag(MODEL, key, value)


def fetch(version: str, to: Path) -> Path:
    """Get what was registered as a version: `model.onnx`, and the detector's nets below `extra_files/`.

    Args:
        to: a folder, made where it is not there.

    Returns:
        The folder of `model.onnx`.

    Raises:
        RegistryError: there is no such version, or its files cannot be had.
    """
    to.mkdir(parents=True, exist_ok=True)
    with _asking():
        _client().get_model_version(MODEL, version)
        import mlflow.artifacts

        return Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}/{version}", dst_path=str(to)))


@contextmanager
def _asking() -> Iterator[None]:
    _quieten()
    from mlflow.exceptions import MlflowException

    try:
        yield
    except (MlflowException, OSError) as error:
        where = re.sub(r"//[^/@]*@", "//", os.environ.get("MLFLOW_TRACKING_URI") or "mlflow.db")  # no password
        told = str(error).partition("\n")[0]
        hint = " (stages/package.py registers models)" if f"name={MODEL} not found" in told else ""
        raise RegistryError(f"MLflow's registry, {where}: {told}{hint}") from None


def revision() -> str:
    """The git revision of the working directory, marked where files differ from it; empty outside a repository."""
    commit = _git("rev-parse", "HEAD")
    # DVC itself rewrites dvc.lock between the stages of one pipeline.
    changed = commit and _git("status", "--porcelain", "--", ".", ":(exclude)dvc.lock")
    return f"{commit} dirty" if changed else commit


@contextmanager
def _closing(open_run: Run) -> Iterator[None]:
    status = "FAILED"
    try:
        yield
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        _client().set_terminated(open_run.id, status)


def _newest(condition: str) -> Run | None:
    found = _client().search_runs([_experiment()], condition, max_results=1, order_by=["attributes.start_time DESC"])
    return Run(found[0].info.run_id) if found else None


def _client() -> Any:
    """MLflow's client for the store in use."""
    return _open(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{Path('mlflow.db').absolute()}")


@lru_cache(maxsize=4)
def _open(uri: str) -> Any:
    _quieten()
    import mlflow

    mlflow.set_tracking_uri(uri)
    if not uri.startswith("sqlite:///"):
        return mlflow.MlflowClient(uri)
    from filelock import FileLock

    path = Path(uri.removeprefix("sqlite:///"))
    path.parent.mkdir(parents=True, exist_ok=True)
    # Two processes that find no store would both create its tables, and one would fail.
    with FileLock(f"{path}.lock"):
        return mlflow.MlflowClient(uri)


def _quieten() -> None:
    """Before MLflow is imported, which reads it then."""
    for key, value in _QUIET.items():
        os.environ.setdefault(key, value)


def _experiment() -> str:
    """Id of the experiment, made or brought back if need be; another process may be making it too."""
    from mlflow.exceptions import MlflowException

    found = _client().get_experiment_by_name(EXPERIMENT)
    if found is None:
        try:
            return str(_client().create_experiment(EXPERIMENT))
        except MlflowException:
            found = _client().get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        _client().restore_experiment(found.experiment_id)
    return str(found.experiment_id)


def _provenance() -> dict[str, str]:
    """Where the code and the data stand, as far as there is a repository and a `dvc.lock`."""
    tags = {}
    if commit := revision():
        tags = {"git": commit, "mlflow.source.git.commit": commit.split()[0]}
    if Path("dvc.lock").exists():
        tags["dvc_lock_sha256"] = sha256(Path("dvc.lock"))
    return tags


def _git(*arguments: str) -> str:
    """What git says, or nothing where there is no git or no repository."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, under dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            flat[prefix + key] = ", ".join(str(item) for item in value)
        else:
            flat[prefix + key] = value
    return flat


def _name(key: str) -> str:
    """A name as MLflow takes it: `face+voice` becomes `face-voice`."""
    return re.sub(r"[^/\w.\- :]", "-", key)


def _schema(tensors: Any) -> Any:
    """Inputs or outputs of a graph as MLflow describes them; a free dimension is -1."""
    import onnx
    from mlflow.types import Schema, TensorSpec

    specs = []
    for tensor in tensors:
        kind = tensor.type.tensor_type
        shape = tuple(d.dim_value or -1 for d in kind.shape.dim)
        specs.append(TensorSpec(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type), shape, tensor.name))
    return Schema(specs)


def _pinned(package: str) -> str:
    from importlib.metadata import version

    return f"{package}=={version(package)}"
