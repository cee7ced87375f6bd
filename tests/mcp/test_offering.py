"""Names, filters, descriptions and results, without any server."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from hector.config.mcp import McpTool
from hector.core.content import Data, JsonObject, Text
from hector.core.ports import ToolPolicy
from hector.core.unseen import seen
from hector.mcp import sdk
from hector.mcp.content import content_of
from hector.mcp.errors import ServerFault
from hector.mcp.events import SentEvent, events, parse
from hector.mcp.offering import LONGEST_TOLD, Offered, assign, fit, offered, told_of, wanted
from hector.mcp.stdio import environment
from hector.net.call import Answer
from hector.tools.policy import policy_of


@pytest.mark.proves("mcp.names")
@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "properties": []}, {"type": "object", "properties": {}}),
        ({"required": 5}, {"type": "object", "properties": {}, "required": []}),
        ({"required": ["a", 5]}, {"type": "object", "properties": {}, "required": ["a"]}),
        (
            {"properties": {"a": {"description": "b\U000e0041\x1bc", "enum": ["d\u202e", 1]}}},
            {"type": "object", "properties": {"a": {"description": "bc", "enum": ["d", 1]}}},
        ),
    ],
)
def test_parameters_are_what_providers_take(schema: JsonObject, expected: JsonObject) -> None:
    told = SimpleNamespace(
        name="t", title=None, description="d", inputSchema=schema, outputSchema=None, annotations=None
    )
    assert offered(told).parameters == expected


@pytest.mark.proves("mcp.names")
@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("read_file", "read_file"),
        ("files.read", "files_read"),
        ("a/b:c", "a_b_c"),
        ("größe", "gr__e_"),
        ("x" * 80, "x" * 55 + "_"),
    ],
)
def test_names_fit_every_provider(name: str, made: str) -> None:
    found = fit(name)
    assert found.startswith(made)
    assert len(found) <= 64
    assert found.replace("_", "").replace("-", "").isalnum()
    assert found.isascii()


@pytest.mark.proves("mcp.names")
def test_no_two_tools_have_one_name() -> None:
    first = assign("s", "", ["a.b", "a_b", "a/b"], {"s_a_b"}, {})
    assert first == {"a.b": "a_b", "a_b": "s_a_b_2", "a/b": "s_a_b_3"} or len(set(first.values())) == 3
    assert len(set(first.values())) == 3
    again = assign("s", "", ["a/b", "new", "a_b"], {"s_a_b"}, first)
    assert {name: again[name] for name in ("a/b", "a_b")} == {name: first[name] for name in ("a/b", "a_b")}
    assert again["new"] == "new"
    assert assign("s", "git_", ["log"], (), {}) == {"log": "git_log"}


def tool(name: str) -> Offered:
    return Offered(name, "", {}, "")


@pytest.mark.proves("mcp.filter")
@pytest.mark.parametrize(
    ("patterns", "names"),
    [(None, ["read", "write"]), ((), []), (("read",), ["read"]), (("w*", "x"), ["write"]), (("READ",), [])],
)
def test_the_filter(patterns: tuple[str, ...] | None, names: list[str]) -> None:
    assert [one.name for one in wanted([tool("read"), tool("write")], patterns)] == names


@pytest.mark.proves("mcp.pins")
def test_descriptions_say_to_a_model_what_they_say_to_people() -> None:
    for text, clean in (
        ("plain", "plain"),
        ("a\u202eb\U000e0041\U000e0042c\u2066d", "abcd"),
        ("a\x1b[8mb\x07c\td\ne", "a[8mbc\td\ne"),
        ("Größe 日本 👩\u200d🔬", "Größe 日本 👩\u200d🔬"),
    ):
        assert seen(text)[0] == clean


@pytest.mark.proves("mcp.pins")
def test_people_are_shown_what_nobody_sees() -> None:
    facts = {"name": "a\u202eb", "title": None, "description": "one\nparameters:\x1b[8m\U000e0041", "hints": {"k": "v"}}
    told = told_of(facts)
    assert told.split("\n") == [
        "name:", "  a<U+202E>b", "description:", "  one", "  parameters:<U+001B>[8m<U+E0041>",
        "hints:", "  {", '   "k": "v"', "  }",
    ]  # fmt: skip
    long = told_of({"description": "x" * (LONGEST_TOLD + 5)})
    assert len(long) < LONGEST_TOLD + 60
    assert long.endswith("characters more, which are not kept)")


@pytest.mark.proves("mcp.pins")
def test_no_entry_takes_back_that_people_are_asked_about_a_changed_tool() -> None:
    entry = McpTool.model_validate(
        {
            "command": "x",
            "require_approval": False,
            "approval_prompt": "?",
            "approval_rules": [{"action": "allow"}, {"tool": "x", "action": "deny"}],
        }
    )
    found = policy_of(ToolPolicy(True, "it has changed", firm=True), entry)
    assert (found.approval, found.prompt, [rule.action for rule in found.rules]) == (True, "it has changed", ["deny"])


def result(structured: Any, *texts: str) -> SimpleNamespace:
    return SimpleNamespace(
        content=[SimpleNamespace(type="text", text=text) for text in texts], structuredContent=structured
    )


@pytest.mark.proves("mcp.results")
@pytest.mark.parametrize(
    ("structured", "texts", "content"),
    [
        (None, ("a", "b"), (Text("a"), Text("b"))),
        ({"n": 1}, (), (Data({"n": 1}),)),
        ({"n": 1}, ('{"n": 1}',), (Text('{"n": 1}'),)),
        ({"result": 5}, ("5",), (Text("5"),)),
        ({"content": "x"}, ("x",), (Text("x"),)),
        ({"n": 1}, ("one",), (Text("one"), Data({"n": 1}))),
    ],
)
def test_structured_results_are_kept_once(structured: Any, texts: tuple[str, ...], content: Any) -> None:
    assert content_of(result(structured, *texts)) == content


@pytest.mark.proves("mcp.environment")
def test_a_child_inherits_no_secrets() -> None:
    ours = {"PATH": "/bin", "LC_ALL": "C", "OPENAI_API_KEY": "x", "DATABASE_URL": "y", "HTTPS_PROXY": "http://u:p@h"}
    assert environment({"A": "b"}, ours) == {"PATH": "/bin", "LC_ALL": "C", "A": "b"}


@pytest.mark.proves("mcp.streamable-http")
@pytest.mark.parametrize(
    ("block", "event"),
    [
        ("data: a\ndata: b", SentEvent("message", "a\nb", "", None)),
        ("event: endpoint\ndata: /m?x=1", SentEvent("endpoint", "/m?x=1", "", None)),
        ("id: 7\nretry: 1500\ndata:", SentEvent("message", "", "7", 1.5)),
        ("retry: 0", SentEvent("message", "", "", 0.1)),
        (f"retry: {'9' * 5000}", SentEvent("message", "", "", 30.0)),
        (": ping", None),
    ],
)
def test_events(block: str, event: SentEvent | None) -> None:
    assert parse(block) == event


class Pieces:
    """The body of an answer, cut into pieces."""

    def __init__(self, body: bytes, size: int) -> None:
        self._left = [body[at : at + size] for at in range(0, len(body), size)]

    async def read(self) -> bytes:
        return self._left.pop(0) if self._left else b""

    async def aclose(self) -> None:
        self._left.clear()


@pytest.mark.proves("mcp.streamable-http")
@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
async def test_events_arrive_whole_however_they_are_cut(size: int) -> None:
    body = b"data: one\r\n\r\n: ping\n\nid: 4\ndata: gr\xc3\xbc\xc3\x9fe\n\nevent: x\ndata: three\r\n\r\n"
    found = [event async for event in events(Answer(200, {}, Pieces(body, size)))]
    assert [(event.name, event.data, event.id) for event in found] == [
        ("message", "one", ""),
        ("message", "grüße", "4"),
        ("x", "three", ""),
    ]


@pytest.mark.proves("mcp.stdio")
@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "command or url"),
        ({"command": "x", "url": "http://h"}, "command or url"),
        ({"command": "x", "transport": "sse"}, "transport sse needs url"),
        ({"url": "http://h", "transport": "stdio"}, "transport stdio needs command"),
        ({"command": "x", "headers": {"a": "b"}}, "headers says nothing"),
        ({"url": "http://h", "args": ["b"]}, "args says nothing"),
        ({"url": "http://h", "oauth": {"client_id": "a", "client_secret": "b"}}, "nobody gives tokens"),
    ],
)
def test_entries_that_make_no_sense(entry: JsonObject, said: str) -> None:
    with pytest.raises(ValueError, match=said.partition(" says")[0]):
        McpTool.model_validate(entry)


@pytest.mark.proves("mcp.streamable-http")
@pytest.mark.parametrize("word", ["streamable-http", "streamable_http", "streamableHttp", "http", "HTTP"])
def test_spellings_of_the_transport(word: str) -> None:
    assert McpTool.model_validate({"url": "http://h/mcp/", "transport": word}).transport == "streamable-http"


@pytest.mark.proves("mcp.results")
@pytest.mark.parametrize(
    ("blob", "more"),
    [
        (b'["a,b,c,d,[[[["]', False),
        (b'["a\\",,,,,,,,\\\\",1,2]', False),
        (b"[1,2,3,4,5,6]", True),
        (b'{"a":{"b":{"c":[[[]]]}}}', True),
        (b'["","","","","","","","","","","","",""]', True),
        (b'{"x": 1}', False),
    ],
)
def test_how_many_values_a_message_has(blob: bytes, more: bool) -> None:
    sdk.load()
    from hector.mcp.link import exceeds

    assert exceeds(blob, 5) is more


@pytest.mark.proves("mcp.results")
async def test_no_message_holds_up_everything_else() -> None:
    sdk.load()
    from hector.mcp.link import MESSAGE_LIMIT, Ends

    ends = Ends()
    began = time.process_time()
    for body in (b"[]," * (MESSAGE_LIMIT // 3 - 40), b'"",' * (MESSAGE_LIMIT // 3 - 40)):
        with pytest.raises(ServerFault, match="values"):
            await ends.take(b'{"jsonrpc":"2.0","id":1,"result":{"x":[' + body + b"1]}}")
    assert time.process_time() - began < 6, "reading them takes half a minute"
    text = b'{"jsonrpc":"2.0","id":1,"result":{"x":"' + b"a, [b], {c}" * 1_000_000 + b'"}}'
    assert await ends.take(text) is not None
    ends.close()


@pytest.mark.proves("mcp.results")
def test_results_say_to_a_model_what_they_say_to_people() -> None:
    hidden = "Rain.\U000e0041\U000e0042\u202e"
    block = SimpleNamespace(type="text", text=hidden)
    found = content_of(SimpleNamespace(content=[block], structuredContent={"a": ["b\u200b"]}))
    assert found == (Text("Rain.\n[3 signs that nobody sees were left out]"), Data({"a": ["b"]}))
    plain = SimpleNamespace(
        content=[SimpleNamespace(type="text", text="שלום 👩\u200d🔬\ta\r\n")], structuredContent=None
    )
    assert content_of(plain) == (Text("שלום 👩\u200d🔬\ta\r\n"),)
