"""The service's settings: environment variables `MMER_…`, validated once when it starts."""

from __future__ import annotations

import difflib
import hmac
import os
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mmer.errors import MmerError

PREFIX = "MMER_"
OTHERS = {"MMER_MODEL", "MMER_MIRROR"}
"""Of the same prefix, but not the service's."""


class SettingsError(MmerError):
    """A variable cannot be used; the message names it, the cause and the nearest right one."""


class Settings(BaseModel):
    """Every limit with a default that is safe on the internet; docs/reference/http.md lists them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str | None = Field(None, min_length=8)
    """If set, /predict, /infer and /stream want it: `X-API-Key`, `Authorization: Bearer …`, or `key` in the hello."""
    origins: tuple[str, ...] = ()
    """Other origins (`https://app.example.org`) whose pages may use the service; its own page always may."""
    batching: Literal["on", "off"] = "on"
    """Whether the passes of different clients go through the network together."""

    max_upload_mb: float = Field(64, gt=0)
    """Size of a request's body."""
    upload_s: float = Field(60, gt=0)
    """Seconds in which a body must have come in."""
    uploads: int = Field(32, ge=1)
    """Requests with a body that are here at once: what bounds the room that they take."""
    predictions: int = Field(4, ge=1)
    """Files worked on at once; as many again wait, more are answered 503."""
    upload_duration_s: float = Field(300, gt=0)
    """Length of a file; the model's own limit stands beside it."""

    sessions: int = Field(default_factory=lambda: 16 * (os.cpu_count() or 1), ge=1)
    """Live streams at once, in each worker; by default 16 a core, as measured (docs/serving.md)."""
    sessions_per_address: int = Field(8, ge=1)
    """Live streams at once from one address."""
    session_s: float = Field(3600, gt=0)
    """Seconds that a live stream may last."""
    idle_s: float = Field(30, gt=0)
    """Seconds that a live stream may be silent."""
    message_kb: float = Field(1024, gt=0)
    """Size of a message in a live stream."""
    messages_per_s: float = Field(100, gt=0)
    """In a live stream, with 3 s of burst."""
    megabytes_per_s: float = Field(4, gt=0)
    """In a live stream, with 3 s of burst."""
    picture_pixels: int = Field(2_100_000, gt=0)
    """Of a live picture: Full HD."""

    def allows(self, key: str | None) -> bool:
        """Whether who gives this key may come in."""
        return self.key is None or (key is not None and hmac.compare_digest(key.encode(), self.key.encode()))

    @field_validator("origins", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            scheme, _, rest = origin.partition("://")
            if scheme not in ("http", "https") or not rest or "/" in rest:
                raise ValueError(f"{origin!r} is no origin: write it as https://app.example.org, with no path")
        return value


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises:
        SettingsError: a variable with the prefix is unknown, or its value makes no sense.
    """
    known = {PREFIX + name.upper(): name for name in Settings.model_fields}
    given: dict[str, str] = {}
    for variable, value in environment.items():
        if variable in known and value:
            given[known[variable]] = value
        elif variable.startswith(PREFIX) and variable not in OTHERS | set(known):
            near = difflib.get_close_matches(variable, [*known, *OTHERS], 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(known))}"
            raise SettingsError(f"the environment variable {variable} is unknown: {hint}")
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{PREFIX}{str(first['loc'][0]).upper()}: {first['msg']}") from None
