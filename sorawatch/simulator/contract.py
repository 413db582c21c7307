"""Checks requests as the API does, with the same error messages.

The messages about size, format, ``input_reference`` and ``seconds`` are those of the API reference; the others are
those of OpenAI's API for the same mistakes.
"""

from __future__ import annotations

import hashlib
import hmac
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from sorawatch.simulator.responses import ApiError

if TYPE_CHECKING:
    from decimal import Decimal

    from sorawatch.simulator.settings import ModelCard, SimulatorSettings

PROMPT_LIMIT = 32_000
"""Characters; ``maxLength`` of the OpenAPI schema."""
_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/webp": "WEBP"}
_FIELDS = ("model", "prompt", "seconds", "size")


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part of a form."""

    media_type: str | None
    data: bytes


Form = Mapping[str, Sequence[str | Upload]]
"""The parts of a multipart body by field name."""


@dataclass(frozen=True, slots=True)
class CreateRequest:
    """A valid create request."""

    prompt: str
    model: str
    size: str
    seconds: str
    quality: str
    usd: Decimal
    reference_sha256: str


def authorize(header: str | None, key: str | None) -> str:
    """The account that ``Authorization: header`` belongs to.

    Raises:
        ApiError: 401 unless it carries ``key``, if there is one.
    """
    if key is None:
        return header or ""
    scheme, _, given = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise ApiError(401, "You didn't provide an API key.", code="invalid_api_key")
    if not hmac.compare_digest(given.encode(), key.encode()):
        masked = f"{given[:3]}****{given[-2:]}" if len(given) > 8 else "****"
        raise ApiError(401, f"Incorrect API key provided: {masked}.", code="invalid_api_key")
    return ""


def check_json(document: object) -> ApiError:
    """The error for a create in JSON: about its ``seconds`` if they are not a string, else about the Content-Type."""
    if isinstance(document, dict) and not isinstance(document.get("seconds", ""), str):
        return _bad_seconds(("4", "8", "12"))
    return not_multipart()


def not_multipart() -> ApiError:
    """The create request is no multipart form."""
    return ApiError(400, "Content-Type must be multipart/form-data")


def check(form: Form, settings: SimulatorSettings) -> tuple[CreateRequest, bytes]:
    """The order in ``form`` and its reference. Call it in a worker thread, since it decodes the picture.

    Raises:
        ApiError: 400, or 404 for an unknown model, with the message of the real API.
    """
    model = _model(form, settings)
    prompt = _prompt(form)
    seconds = _text(form, "seconds", model.seconds[0])
    if seconds not in model.seconds:
        raise _bad_seconds(model.seconds)
    size = _text(form, "size", next(iter(model.usd_per_second)))
    if size not in model.usd_per_second:
        raise _bad_value("size", size, tuple(model.usd_per_second))
    field = settings.image_field
    uploads = [part for part in form.get(field, ()) if isinstance(part, Upload)]
    if not uploads:
        raise _missing(field)
    if len(uploads) > 1:
        raise ApiError(400, f"Only one file is supported: {field}", param=field)
    _check_picture(uploads[0], size)
    for name in form:
        if name not in _FIELDS and name != field and name not in settings.extra_fields:
            raise ApiError(400, f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
    reference = uploads[0].data
    digest = hashlib.sha256(reference).hexdigest()
    order = CreateRequest(prompt, model.name, size, seconds, model.quality, model.price(size, seconds), digest)
    return order, reference


def page_limits(query: Mapping[str, str]) -> tuple[int, bool]:
    """The limit of a list request, and whether its order is descending. Raises ApiError 400."""
    limit = query.get("limit", "20")
    if not (limit.isascii() and limit.isdecimal()):
        raise ApiError(400, f"Invalid type for 'limit': expected an integer, but got '{limit}'.", param="limit")
    if int(limit) > 100:
        text = f"Invalid 'limit': integer above maximum value. Expected a value <= 100, but got {limit} instead."
        raise ApiError(400, text, param="limit", code="integer_above_max_value")
    order = query.get("order", "desc")
    if order not in ("asc", "desc"):
        raise _bad_value("order", order, ("asc", "desc"))
    return int(limit), order == "desc"


def check_variant(variant: str) -> None:
    """Raises ApiError 400 for any variant other than the video itself."""
    if variant != "video":
        raise _bad_value("variant", variant, ("video",))


def no_such_video(video_id: str) -> ApiError:
    """The id is unknown, or the video was deleted."""
    return ApiError(404, f"Video with id '{video_id}' not found.", param="id")


def too_many_running() -> ApiError:
    """As many videos are being rendered as the account may have at once."""
    return ApiError(429, "too many running tasks", kind="rate_limit_error", code="rate_limit_exceeded")


def _text(form: Form, name: str, default: str | None = None) -> str:
    value = next(iter(form.get(name, ())), default)
    if not isinstance(value, str):
        raise _missing(name)
    return value


def _model(form: Form, settings: SimulatorSettings) -> ModelCard:
    name = _text(form, "model")
    card = settings.model(name)
    if card is None:
        text = f"The model `{name}` does not exist or you do not have access to it."
        raise ApiError(404, text, param="model", code="model_not_found")
    return card


def _prompt(form: Form) -> str:
    prompt = _text(form, "prompt")
    if not prompt:
        text = "Expected a string with minimum length 1, but got an empty string instead."
        raise ApiError(400, f"Invalid 'prompt': empty string. {text}", param="prompt", code="empty_string")
    if len(prompt) > PROMPT_LIMIT:
        text = (
            f"Invalid 'prompt': string too long. Expected a string with maximum length {PROMPT_LIMIT}, "
            f"but got a string with length {len(prompt)} instead."
        )
        raise ApiError(400, text, param="prompt", code="string_above_max_length")
    return prompt


def _check_picture(upload: Upload, size: str) -> None:
    if (upload.media_type or "").partition(";")[0].strip().lower() not in _FORMATS:
        raise _bad_format()
    try:
        with Image.open(io.BytesIO(upload.data), formats=tuple(_FORMATS.values())) as picture:
            if f"{picture.width}x{picture.height}" != size:
                raise ApiError(400, "Inpaint image must match the requested width and height")
            picture.convert("RGBA")
    except ApiError:
        raise
    # A damaged file makes the decoders raise almost anything.
    except Exception as error:
        raise _bad_format() from error


def _bad_format() -> ApiError:
    return ApiError(400, "Invalid file format", param="input_reference")


def _missing(name: str) -> ApiError:
    return ApiError(400, f"Missing required parameter: {name}", param=name, code="missing_required_parameter")


def _bad_seconds(allowed: Sequence[str]) -> ApiError:
    choices = ", ".join(f'"{seconds}"' for seconds in allowed)
    return ApiError(400, f"seconds must be one of {choices}", param="seconds", code="invalid_value")


def _bad_value(name: str, value: str, allowed: Sequence[str]) -> ApiError:
    quoted = [f"'{choice}'" for choice in allowed]
    listed = ", ".join(quoted[:-1]) + (", and " if quoted[:-1] else "") + quoted[-1]
    text = f"Invalid value: '{value}'. Supported values are: {listed}."
    return ApiError(400, text, param=name, code="invalid_value")
