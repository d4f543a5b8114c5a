"""The service's own OpenAPI document, at /docs.json: BentoML's knows neither our refusals nor the query."""

from __future__ import annotations

from typing import Any, get_args

from mmer import __version__
from mmer.labels import DIMENSIONS, EMOTIONS, MODALITIES
from mmer.runtime.graph import ModelInfo
from mmer.runtime.media import ACCEPTED
from mmer.runtime.spec import GraphSpec
from mmer.runtime.types import NoteCode
from mmer.serving.answers import ANSWERS
from mmer.serving.settings import Settings

MAX_BATCH, MAX_STEPS = 32, 64
"""Of one call of /infer."""

PREDICT_REFUSALS = (
    "key", "slow", "too_large", "too_long", "no_form", "not_media", "refused", "no_file", "several_files",
    "empty", "truncated", "no_stream", "timeout", "bad_query", "bad_calibration", "busy",
)  # fmt: skip

_CHANCES = {name: 0.9 if name == "happy" else 0.01667 for name in EMOTIONS}
_SHARES = {
    "type": "object",
    "description": "Probability of each emotion.",
    "properties": {name: {"type": "number", "minimum": 0, "maximum": 1} for name in EMOTIONS},
    "required": list(EMOTIONS),
}
_KEY = {"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}}
_LABEL = {"type": ["string", "null"], "enum": [*EMOTIONS, None]}
_CALIBRATED = {
    "type": "boolean",
    "description": "Whether what this person is like at rest was taken off (/protocol).",
}
_BOX = {
    "type": ["array", "null"],
    "description": "The face: left, top, right, bottom as shares of the picture; it may reach beyond it.",
    "items": {"type": "number"},
    "minItems": 4,
    "maxItems": 4,
}
_PERSON = {
    "type": "object",
    "description": "Somebody who is seen.",
    "properties": {
        "id": {"type": "integer", "minimum": 1, "description": "It stays with the person."},
        "box": _BOX | {"type": "array"},
        "label": _LABEL,
        "probabilities": _SHARES,
        "quality": {"type": "number", "minimum": 0, "maximum": 1, "description": "How sure it is that this is a face."},
    },
    "required": ["id", "box", "label", "probabilities", "quality"],
}


def document(info: ModelInfo, settings: Settings) -> dict[str, Any]:
    """The document, for this model and these limits."""
    secured: dict[str, Any] = {"security": [{"key": []}]} if settings.key else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "mmer",
            "version": __version__,
            "description": f"Emotion from a person's {_sources(info)}. What it says is how a clip looks and "
            "sounds to a model trained mostly on acted emotions; it is not for judging people. Live streams go through "
            "the WebSocket /stream (/protocol).",
            "license": {"name": "Apache-2.0 (code); the model: " + info.licence},
        },
        "paths": {
            "/predict": {"post": _predict(settings) | secured},
            "/infer": {"post": _infer(info) | secured},
            "/livez": {"get": _probe("Whether the process lives.")},
            "/readyz": {"get": _probe("Whether the graph has answered once.")},
        },
        "components": {
            "schemas": {
                "Error": _error(),
                "Step": _step(info),
                "Prediction": _prediction(info),
                "Utterance": _utterance(info),
            },
            **({"securitySchemes": _KEY} if settings.key else {}),
        },
    }


def _sources(info: ModelInfo) -> str:
    """What this model was trained on, in words."""
    return " and ".join("surroundings" if name == "scene" else name for name in info.modalities)


def _predict(settings: Settings) -> dict[str, Any]:
    example = {
        "path": "clip.mp4",
        "label": "happy",
        "probabilities": _CHANCES,
        "missing": ["scene"],
        "turned": 0,
        "calibrated": False,
        "notes": [],
        "utterances": [],
        "top": [{"label": "happy", "probability": 0.9}],
    }
    seconds = {"type": "number", "minimum": 0}
    return {
        "operationId": "predict",
        "summary": "Recognise the emotion in a file",
        "description": f"{ACCEPTED}. It is kept for the length of the request. At most {settings.max_upload_mb:g} MB "
        f"and {settings.upload_duration_s:g} s.",
        "parameters": [
            _query("start", seconds, "Where the part to look at begins, seconds."),
            _query("end", seconds, "Where it ends."),
            _query("smooth", {"type": "boolean", "default": False}, "Smooth the steps over time."),
            _query("top", {"type": "integer", "minimum": 1, "maximum": len(EMOTIONS)}, "Add the likeliest so many."),
            _query("steps", {"type": "boolean", "default": True}, "Whether to answer with the timeline."),
        ],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {
                            "file": {"type": "string", "format": "binary", "description": "The file itself."},
                            "calibration": {
                                "type": "string",
                                "contentMediaType": "application/json",
                                "description": "What the person in it is like at rest, to be taken off: as a stream of "
                                "the same model found it (`calibration` in /protocol), JSON.",
                            },
                        },
                    }
                }
            },
        },
        "responses": {
            "200": _json("What was recognised.", {"$ref": "#/components/schemas/Prediction"}, example | {"steps": []}),
            **_errors(*PREDICT_REFUSALS),
        },
    }


def _infer(info: ModelInfo) -> dict[str, Any]:
    spec = GraphSpec.of(info.input, affect=bool(info.affect))
    takes, gives = ("; ".join(f"`{t}`, {t.meaning}" for t in ports) for ports in (spec.inputs, spec.outputs))
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    return {
        "operationId": "infer",
        "summary": "One pass through the network",
        "description": f"Body and answer are safetensors. In: {takes}. Of faces, scenes and voice "
        "those that the model was not trained on "
        f"({', '.join(m for m in MODALITIES if m not in info.modalities) or 'here: none'}) may be left out, as may "
        f"`state` at the beginning. Out: {gives}. "
        f"B is at most {MAX_BATCH}, T at most {MAX_STEPS}. Calls of several clients are gathered into batches.",
        "requestBody": {"required": True, "content": binary},
        "responses": {
            "200": {"description": "Tensors.", "content": binary},
            **_errors("key", "slow", "too_large", "bad_tensors", "busy"),
        },
    }


def _query(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "schema": schema, "description": description}


def _probe(summary: str) -> dict[str, Any]:
    answers = {status: {"description": text} for status, text in (("200", "Yes."), ("503", "No."))}
    return {"summary": summary, "responses": answers}


def _json(description: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema, "example": example}}}


def _errors(*codes: str) -> dict[str, Any]:
    """The refusals, those of one status together."""
    found: dict[str, list[str]] = {}
    for code in codes:
        found.setdefault(str(ANSWERS[code][0]), []).append(code)
    schema = {"$ref": "#/components/schemas/Error"}
    return {
        status: _json(
            "One of " + ", ".join(several) + ".",
            schema,
            {"error": {"code": several[0], "message": "…", "hint": ANSWERS[several[0]][1]}},
        )
        for status, several in found.items()
    }


def _error() -> dict[str, Any]:
    text = {"type": "string"}
    inner = {"type": "object", "properties": {"code": text, "message": text, "hint": text}}
    return {
        "type": "object",
        "properties": {"error": inner | {"required": ["code", "message", "hint"]}},
        "required": ["error"],
    }


def _affect(info: ModelInfo) -> dict[str, Any]:
    """Valence and arousal, of a model that says them."""
    means = dict(zip(DIMENSIONS, ("From unpleasant to pleasant", "From calm to excited"), strict=True))
    where = f"; null where none of {', '.join(info.affect)} is present."
    number = {"type": ["number", "null"], "minimum": -1, "maximum": 1}
    return {name: {**number, "description": means[name] + where} for name in DIMENSIONS if info.affect}


def _step(info: ModelInfo) -> dict[str, Any]:
    properties = {
        "t": {"type": "number", "description": "Seconds since the start."},
        "label": _LABEL,
        "probabilities": _SHARES,
        "alone": {"type": "object", "additionalProperties": {"anyOf": [_SHARES, {"type": "null"}]}},
        "box": _BOX,
        "present": {"type": "object", "properties": {name: {"type": "boolean"} for name in MODALITIES}},
        "voice_dbfs": {"type": "number"},
        "ms": {"type": "number", "description": "Milliseconds of work."},
        "followed": {
            "type": ["integer", "null"],
            "description": "Id of the person of whom the step speaks, and whose the voice is taken to be: who speaks, "
            "where that can be told, else the largest. Null before anybody was seen.",
        },
        "people": {"type": "array", "description": "All who are seen, by id.", "items": _PERSON},
        "more_people": {"type": "integer", "description": "Faces beyond the limit: the largest were kept."},
        "calibrated": _CALIBRATED,
        **_affect(info),
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _utterance(info: ModelInfo) -> dict[str, Any]:
    share = {"type": "number", "minimum": 0, "maximum": 1}
    properties = {
        "start": {"type": "number", "description": "Seconds since the start."},
        "end": {"type": "number", "description": "Seconds, where the voice ends."},
        "label": _LABEL,
        "confidence": share | {"description": "The label's probability; 0 where there is no label."},
        "probabilities": _SHARES,
        "alone": {"type": "object", "additionalProperties": {"anyOf": [_SHARES, {"type": "null"}]}},
        "seen": share | {"description": "Share of the steps in which the face was seen."},
        "heard": share | {"description": "Share of the steps in which a voice was heard."},
        "voice_dbfs": {"type": "number"},
        "followed": {"type": ["integer", "null"], "description": "Of whom it speaks."},
        "calibrated": _CALIBRATED,
        **_affect(info),
    }
    return {"type": "object", "properties": properties, "required": list(properties)}


def _prediction(info: ModelInfo) -> dict[str, Any]:
    top = {"type": "object", "properties": {"label": {"type": "string"}, "probability": {"type": "number"}}}
    properties = {
        "path": {"type": "string"},
        "label": _LABEL,
        "probabilities": _SHARES,
        "missing": {"type": "array", "items": {"type": "string", "enum": list(MODALITIES)}},
        "calibrated": _CALIBRATED,
        "turned": {
            "type": "integer",
            "enum": [0, 90, 180, 270],
            "description": "Degrees clockwise by which the pictures were turned, since as they were they showed no "
            "face, or a doubtful one. Boxes are those of the pictures as they were.",
        },
        "notes": {
            "type": "array",
            "description": "What whoever sent the clip should know.",
            "items": {
                "type": "object",
                "properties": {
                    "code": {"type": "string", "enum": list(get_args(NoteCode))},
                    "message": {"type": "string"},
                },
                "required": ["code", "message"],
            },
        },
        **_affect(info),
        "utterances": {
            "type": "array",
            "description": "Whenever somebody spoke, in order.",
            "items": {"$ref": "#/components/schemas/Utterance"},
        },
        "steps": {"type": "array", "items": {"$ref": "#/components/schemas/Step"}},
        "top": {"type": "array", "items": top},
        "model": {
            "type": "object",
            "description": "What the model says of itself: version, corpora, licence, status …",
        },
    }
    return {
        "type": "object",
        "properties": properties,
        "required": [
            "path",
            "label",
            "probabilities",
            "missing",
            "turned",
            "calibrated",
            "notes",
            "utterances",
            "model",
            *_affect(info),
        ],
    }
