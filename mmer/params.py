"""params.yaml, read and validated. The schema (mmer/config.py) knows no corpus: here each is asked for its reader."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from mmer.config import ConfigError, Params, explain_error, set_dotted
from mmer.data import corpora


def load_params(path: Path | str = "params.yaml", overrides: Mapping[str, Any] | None = None) -> Params:
    """Read and validate `params.yaml`.

    Args:
        path: the file.
        overrides: values that replace the file's, keyed by dotted name: `{"train.epochs": 1}`.

    Raises:
        ConfigError: the file is missing, is no YAML, or holds a wrong key or value.
    """
    path = Path(path)
    try:
        tree = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path} is missing: run from the project's folder") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold keys and values")
    for dotted, value in copy.deepcopy(dict(overrides or {})).items():
        set_dotted(tree, dotted, value)
    try:
        params = Params.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{path}: " + "; ".join(explain_error(e) for e in error.errors())) from None
    try:
        check_corpora(params)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
    return params


def check_corpora(params: Params) -> None:
    """Make sure that each corpus has a reader, and a way to its files.

    Raises:
        ConfigError: one has not; the message names the nearest that has.
    """
    try:
        readers = {name: corpora.get(name) for name in (*params.corpora, *params.download.corpora)}
    except KeyError as error:
        raise ConfigError(error.args[0]) from None
    for name in params.corpora:
        if name not in params.download.corpora and not readers[name].by_hand:
            raise ConfigError(f"corpora names {name!r}, which nothing fetches: add it to download.corpora too")


def varied(params: Params, values: Mapping[str, Any]) -> Params:
    """The same parameters but for these values, keyed by dotted name: `{"model.temporal.kind": "gru"}`.

    Raises:
        ConfigError: a wrong key or value.
    """
    tree = params.model_dump(by_alias=True)
    for dotted, value in values.items():
        set_dotted(tree, dotted, value)
    try:
        return Params.model_validate(tree)
    except ValidationError as error:
        raise ConfigError("; ".join(explain_error(e) for e in error.errors())) from None
