"""Google's generateContent and streamGenerateContent: what they refuse, and how they answer."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from tests.models.fakeprovider.dialect import (
    BAD_KEY,
    USAGE,
    Refusal,
    Seen,
    call_id,
    good_image,
    is_base64,
    need,
    only,
    sign,
    sse,
)
from tests.models.fakeprovider.turn import Turn

_PATH = re.compile(r"/(v1beta|v1)/models/([^/:]+):(generateContent|streamGenerateContent)")
_KEYS = "systemInstruction contents tools toolConfig safetySettings cachedContent generationConfig"
_GENERATION = (
    "temperature topP topK maxOutputTokens stopSequences responseMimeType responseJsonSchema thinkingConfig "
    "mediaResolution"
)
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_DATA = {"text", "inlineData", "fileData", "functionCall", "functionResponse"}
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FINISH = {"": "STOP", "stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY", "pause": "CONTINUATION"}
_MAGIC_WORD = "skip_thought_signature_validator"


def generation(model: str) -> int:
    """3 for gemini-3.8-flash."""
    found = re.search(r"gemini-(\d+)", model)
    return int(found[1]) if found else 9


class GeminiDialect:
    """Remembers the turns that it gave, to see that their signatures come back in place."""

    name = "gemini"
    stream_type = "text/event-stream"

    def __init__(self) -> None:
        self._given: list[list[dict[str, Any]]] = []

    def handles(self, request: Seen) -> bool:
        return _PATH.fullmatch(request.path) is not None

    def streams(self, request: Seen) -> bool:
        return request.path.endswith(":streamGenerateContent")

    def model(self, request: Seen) -> str:
        found = _PATH.fullmatch(request.path)
        assert found
        return found[2]

    # what it refuses

    def check(self, request: Seen) -> None:
        key = request.headers.get("x-goog-api-key")
        need("key=" not in request.query, "the key must not stand in the URL")
        need(key, "Method doesn't allow unregistered callers. Please use API Key.", status=403)
        need(key != BAD_KEY, "API key not valid. Please pass a valid API key.")
        need(not self.streams(request) or request.query == "alt=sse", "streaming without alt=sse")
        body = request.body
        need(isinstance(body, dict), "Invalid JSON payload received.")
        only(body, _KEYS, "Unknown name: ")
        number = generation(self.model(request))
        self._check_generation(body.get("generationConfig", {}), number, bool(body.get("tools")))
        self._check_tools(body)
        if "systemInstruction" in body:
            need(all(part["text"] for part in body["systemInstruction"]["parts"]), "systemInstruction: empty part")
        self._check_contents(body["contents"], number)

    def _check_generation(self, config: Mapping[str, Any], number: int, tools: bool) -> None:
        only(config, _GENERATION, "generationConfig.")
        thinking = config.get("thinkingConfig", {})
        only(thinking, "includeThoughts thinkingBudget thinkingLevel", "thinkingConfig.")
        need("thinkingLevel" not in thinking or number >= 3, "Thinking level is not supported for this model.")
        need("thinkingBudget" not in thinking or number < 3, "Thinking budget is not supported for this model.")
        as_json = config.get("responseMimeType") == "application/json"
        need(
            "responseJsonSchema" not in config or as_json, "responseJsonSchema needs responseMimeType application/json"
        )
        text = "Function calling with a response mime type: 'application/json' is unsupported"
        need(not (as_json and tools and number < 3), text)

    def _check_tools(self, body: Mapping[str, Any]) -> None:
        declared = [tool for group in body.get("tools", []) for tool in group["functionDeclarations"]]
        for tool in declared:
            only(tool, "name description parametersJsonSchema", "functionDeclarations.")
            need(_NAME.fullmatch(tool["name"]), f"Invalid function name {tool['name']!r}")
            schema = tool.get("parametersJsonSchema", {"type": "object", "properties": {"a": {}}})
            need(
                schema.get("type") == "object" and schema.get("properties"), "parametersJsonSchema: should be non-empty"
            )
            need("$schema" not in schema, "parametersJsonSchema: $schema")
        need(len({tool["name"] for tool in declared}) == len(declared), "Duplicate function declaration")
        config = body.get("toolConfig", {}).get("functionCallingConfig")
        if config is not None:
            need(declared, "Function calling config is set without function_declarations.")
            need(config["mode"] in {"AUTO", "ANY", "NONE", "VALIDATED"}, "functionCallingConfig.mode: unknown")

    def _check_contents(self, contents: Sequence[Mapping[str, Any]], number: int) -> None:
        need(contents, "contents is not specified")
        need(contents[0]["role"] == "user", "the first content must be the user's")
        asked: list[Mapping[str, Any]] = []
        for index, content in enumerate(contents):
            only(content, "role parts", "contents.")
            role = content["role"]
            need(role in {"user", "model"}, f"Please use a valid role: user, model. Not {role!r}")
            need(index == 0 or contents[index - 1]["role"] != role, "roles must alternate")
            need(content["parts"], "contents.parts must not be empty.")
            for part in content["parts"]:
                self._check_part(part, role)
            answers = [part["functionResponse"] for part in content["parts"] if "functionResponse" in part]
            self._check_answers(asked, answers)
            asked = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
            self._check_given(content["parts"])
        need(contents[-1]["role"] == "user" or contents[-1]["parts"] in self._given, "the last content is the model's")
        if number >= 3:
            self._check_signed(contents)

    def _check_part(self, part: Mapping[str, Any], role: str) -> None:
        kinds = set(part) & _DATA
        only(part, " ".join(_DATA) + " thought thoughtSignature", "parts.")
        need(len(kinds) == 1, "contents.parts: required oneof field 'data' must have one initialized field")
        need("text" not in part or part["text"] or "thoughtSignature" in part, "contents.parts: empty text")
        allowed = _DATA - {"functionCall"} if role == "user" else {"text", "functionCall"}
        need(kinds <= allowed, f"{kinds} in a {role} content")
        if "inlineData" in part:
            blob = part["inlineData"]
            fine = good_image if blob["mimeType"].startswith("image/") else lambda _, data: is_base64(data)
            need(fine(blob["mimeType"], blob["data"]), "Unable to process input image")
        if "fileData" in part:
            need(part["fileData"]["fileUri"] and part["fileData"]["mimeType"], "fileData is incomplete")
        if "functionCall" in part:
            only(part["functionCall"], "id name args", "functionCall.")
            need(isinstance(part["functionCall"]["args"], dict), "functionCall.args: not an object")

    def _check_answers(self, asked: Sequence[Mapping[str, Any]], answers: Sequence[Mapping[str, Any]]) -> None:
        text = "the number of function response parts is equal to the number of function call parts"
        need(len(asked) == len(answers), f"Please ensure that {text} of the function call turn.")
        for call, answer in zip(asked, answers, strict=True):
            only(answer, "id name response parts", "functionResponse.")
            need(call["name"] == answer["name"], "functionResponse.name does not match its functionCall")
            need(call.get("id") == answer.get("id"), "functionResponse.id does not match its functionCall")
            need(isinstance(answer["response"], dict), "functionResponse.response: not an object")

    def _check_given(self, parts: Sequence[Mapping[str, Any]]) -> None:
        """Ids and signatures are ours or absent, and stand where we put them."""
        ours = [part for given in self._given for part in given]
        signed = [part for part in ours if "thoughtSignature" in part]
        ids = {part["functionCall"].get("id") for part in ours if "functionCall" in part} | {None}
        for part in parts:
            signature = part.get("thoughtSignature")
            need(signature in {None, _MAGIC_WORD} or part in signed, "Corrupted thought signature.")
            need(part.get("functionCall", {}).get("id") in ids, "functionCall.id was not given by the model")
            twins = [given for given in signed if _unsigned(given) == _unsigned(part) and part.get("text") != ""]
            need(not twins or part in twins, "a thought signature was lost")

    def _check_signed(self, contents: Sequence[Mapping[str, Any]]) -> None:
        """Since the user's last words, the first call of every step must be signed."""
        said = [
            at
            for at, item in enumerate(contents)
            if item["role"] == "user" and "functionResponse" not in item["parts"][0]
        ]
        for content in contents[said[-1] if said else 0 :]:
            calls = [part for part in content["parts"] if "functionCall" in part]
            text = "Function call is missing a thought_signature in functionCall parts."
            need(not calls or "thoughtSignature" in calls[0], text)

    # how it answers

    def last_words(self, request: Seen) -> str:
        words = []
        for part in request.body["contents"][-1]["parts"]:
            if "text" in part:
                words.append(part["text"])
            elif "functionResponse" in part:
                response = part["functionResponse"]["response"]
                words.append(str(response.get("result", response)))
        return "\n".join(words)

    def _parts(self, request: Seen, turn: Turn) -> list[dict[str, Any]]:
        signs = generation(self.model(request)) >= 3
        parts: list[dict[str, Any]] = []
        if turn.thinking:
            parts.append({"text": turn.thinking, "thought": True})
        parts += [{"text": piece} for piece in turn.chunks]
        for index, call in enumerate(turn.calls):
            args = json.loads(call.args) if isinstance(call.args, str) else call.args
            part: dict[str, Any] = {"functionCall": {"name": call.name, "args": args}}
            if signs:
                part["functionCall"]["id"] = call_id("fc-", request, index)
            if signs and index == 0:
                part["thoughtSignature"] = sign(json.dumps(part))
            parts.append(part)
        if signs and turn.text and not turn.calls:
            parts.append({"text": "", "thoughtSignature": sign(turn.text)})
        self._given.append([part for part in parts if not part.get("thought")])
        return parts

    def _finish(self, turn: Turn) -> str:
        return _FINISH.get(turn.finish, turn.finish)

    def _usage(self) -> dict[str, int]:
        return {
            "promptTokenCount": USAGE["input"],
            "cachedContentTokenCount": USAGE["cache_read"],
            "candidatesTokenCount": USAGE["output"] - USAGE["reasoning"],
            "thoughtsTokenCount": USAGE["reasoning"],
            "totalTokenCount": USAGE["input"] + USAGE["output"],
        }

    def _chunk(self, request: Seen, parts: Sequence[Any], finish: str | None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"index": 0}
        if parts:
            candidate["content"] = {"role": "model", "parts": parts}
        if finish:
            candidate["finishReason"] = finish
        usage = self._usage()
        return {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": self.model(request),
            "responseId": "r1",
        }

    def _blocked(self) -> dict[str, Any]:
        return {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "usageMetadata": {"promptTokenCount": 4}}

    def body(self, request: Seen, turn: Turn) -> bytes:
        if turn.finish == "blocked":
            return json.dumps(self._blocked()).encode()
        return json.dumps(self._chunk(request, self._parts(request, turn), self._finish(turn))).encode()

    def events(self, request: Seen, turn: Turn) -> list[bytes]:
        if turn.finish == "blocked":
            return [sse(self._blocked())]
        parts = self._parts(request, turn)
        last = [parts.pop()] if parts and parts[-1].get("text") == "" else []
        chunks = [self._chunk(request, [part], None) for part in parts]
        chunks.append(self._chunk(request, last, self._finish(turn)))
        chunks.append({"usageMetadata": self._usage()})
        return [sse(chunk) for chunk in chunks]

    def noise(self) -> bytes:
        return b": keep-alive\n\n" + sse({"responseId": "r1", "novelty": 1})

    def error(self, refusal: Refusal) -> bytes:
        return json.dumps({"error": _error(refusal)}).encode()

    def stream_error(self, refusal: Refusal) -> bytes:
        return sse({"error": _error(refusal)})


def _error(refusal: Refusal) -> dict[str, Any]:
    return {
        "code": refusal.status,
        "message": refusal.message,
        "status": refusal.kind or _STATUS.get(refusal.status, "UNKNOWN"),
        "details": [],
    }


def _unsigned(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key != "thoughtSignature"}
