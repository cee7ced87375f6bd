"""What OpenAI's two formats check alike."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.models.fakeprovider.dialect import BAD_KEY, Refusal, Seen, good_image, is_base64, need

NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
KINDS = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "permission_error",
    404: "invalid_request_error",
    429: "rate_limit_error",
}
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def check_head(request: Seen) -> None:
    """Method, media type and key. A server without keys takes a request without one, but not an empty one."""
    need(request.method == "POST", "method not allowed", status=405)
    need(request.headers.get("content-type") == "application/json", "content-type must be application/json")
    key = request.headers.get("authorization")
    need(key is None or re.fullmatch(r"Bearer \S+", key), "malformed authorization header", status=401)
    offered = (key or "").removeprefix("Bearer ") or request.headers.get("api-key", "")
    need(offered != BAD_KEY, "Incorrect API key provided", status=401)
    need(isinstance(request.body, dict), "we could not parse the JSON body of your request")


def reasons(model: str) -> bool:
    """Whether the rules for reasoning models apply."""
    return bool(re.match(r"(o\d|gpt-[5-9])", model)) and "-chat" not in model


def refuse(body: Mapping[str, Any], name: str, advice: str = "") -> None:
    """Refuse a parameter that the model does not take."""
    text = f"Unsupported parameter: '{name}' is not supported with this model.{advice}"
    need(name not in body, text, param=name)


def check_data_url(url: str, kinds: str) -> None:
    """A data URL of one of the blank-separated media types, or a link."""
    found = re.fullmatch(r"data:([\w.+-]+/[\w.+-]+);base64,(.*)", url, re.DOTALL)
    if found is None:
        need(re.match(r"https?://\S+$", url), f"Invalid URL {url[:40]!r}")
        return
    need(found[1] in kinds.split(), f"unsupported media type {found[1]!r}")
    image = found[1].startswith("image/")
    need(good_image(found[1], found[2]) if image else is_base64(found[2]), "the data is not what it claims to be")


IMAGES = "image/png image/jpeg image/gif image/webp"


def check_audio(value: Mapping[str, Any]) -> None:
    """`input_audio`."""
    need(set(value) == {"data", "format"}, "input_audio: data and format are required")
    need(value["format"] in {"wav", "mp3"}, "input_audio.format: wav or mp3")
    need(is_base64(value["data"]), "input_audio.data: not base64")


def check_strict(schema: Any, where: str) -> None:
    """What strict mode demands of every object in a schema."""
    if isinstance(schema, list):
        for item in schema:
            check_strict(item, where)
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        need(closed, f"Invalid schema for {where}: 'additionalProperties' is required to be supplied and to be false.")
        complete = set(schema.get("properties", {})) == set(schema.get("required", []))
        need(complete, f"Invalid schema for {where}: 'required' must include every key in properties.")
    for bound in ("minLength", "maxLength", "default", "oneOf", "allOf"):
        need(bound not in schema or isinstance(schema[bound], dict), f"Invalid schema for {where}: '{bound}'")
    for value in schema.values():
        check_strict(value, where)


def check_function(tool: Mapping[str, Any]) -> None:
    """Name, parameters and strictness of a function, in either format."""
    need(NAME.fullmatch(tool.get("name", "")), f"Invalid 'tools[0].name': {tool.get('name')!r}", param="tools")
    schema = tool["parameters"]
    need(schema.get("type") == "object", f"Invalid schema for function {tool['name']!r}: schema must be of type object")
    need("properties" in schema, f"Invalid schema for function {tool['name']!r}: object schema missing properties")
    need("$schema" not in schema, "Invalid schema: $schema")
    if tool.get("strict"):
        check_strict(schema, f"function {tool['name']!r}")


def check_tool_settings(body: Mapping[str, Any]) -> None:
    """What may be said about tools only beside tools."""
    tools = body.get("tools")
    need(tools is None or tools, "Invalid 'tools': empty array. Expected an array with minimum length 1", param="tools")
    for name in ("tool_choice", "parallel_tool_calls"):
        need(tools or name not in body, f"'{name}' is only allowed when 'tools' are specified.", param=name)
    need(body.get("tool_choice", "auto") in {"auto", "none", "required"}, "Invalid 'tool_choice'", param="tool_choice")
    need(isinstance(body.get("parallel_tool_calls", True), bool), "Invalid 'parallel_tool_calls'")


def arguments(args: Mapping[str, Any] | str) -> str:
    """Arguments of a call, as text."""
    return args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)


def pieces(text: str, size: int = 9) -> Sequence[str]:
    """A text cut up for streaming."""
    return [text[at : at + size] for at in range(0, len(text), size)]


def error(refusal: Refusal) -> dict[str, Any]:
    """The error object."""
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind or KINDS.get(refusal.status, "server_error"),
            "param": refusal.param or None,
            "code": refusal.code or CODES.get(refusal.status),
        }
    }


def is_encrypted(text: object) -> bool:
    """Whether this could be encrypted reasoning: a non-empty base64 string."""
    try:
        return isinstance(text, str) and bool(base64.b64decode(text, validate=True))
    except binascii.Error:
        return False
