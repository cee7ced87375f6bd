"""Variables: interpolation per text, .env files, and what a reload does to them."""

from pathlib import Path

import pytest

from hector.config.environment import Environment, parse_dotenv
from hector.config.interpolate import interpolate
from tests.config.sample import config, errors, llm_agent, loaded, write

VARIABLES = {"A": "one", "EMPTY": "", "ODD": 'x: "#\n- y'}


@pytest.mark.proves("config.env-forms", "config.env-interpolation")
@pytest.mark.parametrize(
    ("text", "value", "missing"),
    [
        ("${A}", "one", []),
        ("$A", "one", []),
        ("<$A>", "<one>", []),
        ("${A}${A}", "oneone", []),
        ("${B}", "", ["B"]),
        ("$B", "", ["B"]),
        ("${B:-two}", "two", []),
        ("${B:two}", "two", []),
        ("${EMPTY:-two}", "two", []),
        ("${EMPTY}", "", []),
        ("${B:-}", "", []),
        ("${B:-${A}}", "one", []),
        ("${B:-${C}}", "", ["C"]),
        ('${B:-{"a": {}}} z', '{"a": {}} z', []),
        ("${B:-http://x:1}", "http://x:1", []),
        ("$$A", "$A", []),
        ("$${A}", "${A}", []),
        ("a$$$$b", "a$$b", []),
        ("cost: $5, 100$", "cost: $5, 100$", []),
        ("^a$", "^a$", []),
        ("${A", "${A", []),
        ("${ A }", "${ A }", []),
        ("${ODD}", 'x: "#\n- y', []),
    ],
)
def test_interpolation(text: str, value: str, missing: list[str]) -> None:
    filled = interpolate(text, VARIABLES.get)
    assert (filled.text, filled.missing) == (value, missing)


@pytest.mark.proves("config.env-forms")
def test_values_cannot_break_the_syntax(tmp_path: Path) -> None:
    text = """
        llms: {default: {provider: ollama}}
        agents: {a: {instruction: "say ${ODD}", description: $ODD}}
    """
    agent = llm_agent(config(tmp_path, text, VARIABLES), "a")
    assert agent.instruction == 'say x: "#\n- y'
    assert agent.description == 'x: "#\n- y'


def test_a_number_may_come_from_a_variable(tmp_path: Path) -> None:
    text = "server: {port: $PORT, legacy_card: $CARD}\nllms: {d: {provider: ollama}}\n"
    server = config(tmp_path, text, {"PORT": "9000", "CARD": "yes"}).server
    assert (server.port, server.legacy_card) == (9000, True)


@pytest.mark.proves("config.env-interpolation")
def test_a_missing_variable_is_a_warning_and_counts_as_left_out(tmp_path: Path) -> None:
    text = "server:\n  port: ${PORT}\nllms: {d: {provider: ollama}}\n"
    found = loaded(tmp_path, text, {})
    assert found.config.server.port == 8080
    (warning,) = found.warnings
    assert (warning.severity, warning.kind) == ("warning", "variable")
    assert warning.position is not None
    assert (warning.position.line, warning.position.column) == (2, 9)
    assert "PORT" in warning.message


@pytest.mark.proves("config.env-interpolation", "config.errors")
def test_a_missing_key_is_one_error_that_names_the_variable(tmp_path: Path) -> None:
    (finding,) = errors(tmp_path, "llms:\n  c:\n    provider: anthropic\n    api_key: ${MY_KEY}\n", {})
    assert "MY_KEY" in finding.message
    assert finding.place.endswith("hector.yaml:4:14")


DOTENV = """\
# comment
PLAIN=value # comment
export EXPORTED = spaced
SINGLE='as $it is # here'
DOUBLE="line\\nbreak \\"quoted\\"" # comment
HASH=a#b
EMPTY=
SPAN="one
two"
URL=postgres://u:p@h/db?x=1

AFTER=last
"""


@pytest.mark.proves("config.dotenv")
def test_dotenv_format() -> None:
    assert parse_dotenv(DOTENV, Path(".env")).values == {
        "PLAIN": "value",
        "EXPORTED": "spaced",
        "SINGLE": "as $it is # here",
        "DOUBLE": 'line\nbreak "quoted"',
        "HASH": "a#b",
        "EMPTY": "",
        "SPAN": "one\ntwo",
        "URL": "postgres://u:p@h/db?x=1",
        "AFTER": "last",
    }


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    assert parse_dotenv("\ufeffA=1\r\nB=2\r\n", Path(".env")).values == {"A": "1", "B": "2"}


def test_a_line_that_is_no_assignment_is_a_warning(tmp_path: Path) -> None:
    write(tmp_path, "A=1\nnonsense\nB=2\n", ".env")
    found = loaded(tmp_path, "llms: {d: {provider: ollama}}")
    (warning,) = found.warnings
    assert warning.place == f"{tmp_path / '.env'}:2:1"


def test_a_broken_quote_does_not_swallow_the_rest() -> None:
    assert parse_dotenv('A="open\nB=2\n', Path(".env")).values["B"] == "2"


@pytest.mark.proves("config.dotenv")
def test_places_of_dotenv_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there, home = tmp_path / "here", tmp_path / "there", tmp_path / "home"
    write(there, "A=file\n", ".env")
    write(here, "A=cwd\nB=cwd\n", ".env")
    write(home, "A=hector\nB=hector\nC=hector\n", ".hector/.env")
    write(home, "A=home\nB=home\nC=home\nD=home\n", ".env")
    monkeypatch.chdir(here)
    environment = Environment({"HOME": str(home)})
    environment.read(there)
    assert [environment.get(name) for name in "ABCD"] == ["file", "cwd", "hector", "home"]


@pytest.mark.proves("config.dotenv")
def test_the_process_wins_at_start_and_the_file_on_reload(tmp_path: Path) -> None:
    path = write(tmp_path, "A=file\nB=file\n", ".env")
    variables = {"A": "process"}
    environment = Environment(variables)
    environment.read(tmp_path)
    assert variables == {"A": "process", "B": "file"}
    path.write_text("A=newer\nB=newer\n", encoding="utf-8")
    environment.read(tmp_path)
    assert variables == {"A": "newer", "B": "newer"}
    path.write_text("", encoding="utf-8")
    environment.read(tmp_path)
    assert variables == {"A": "process"}, "what came from the file is gone, what was there before is back"


def test_the_callers_mapping_is_not_touched(tmp_path: Path) -> None:
    from hector.config.load import load_config

    write(tmp_path, "NEW=1\n", ".env")
    env: dict[str, str] = {"HOME": str(tmp_path)}
    load_config(write(tmp_path, "llms: {d: {provider: ollama}}"), env)
    assert env == {"HOME": str(tmp_path)}


def test_an_unreadable_dotenv_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff\n")
    (warning,) = loaded(tmp_path, "llms: {d: {provider: ollama}}").warnings
    assert "UTF-8" in warning.message


@pytest.mark.proves("config.errors")
@pytest.mark.parametrize(
    ("source", "place", "lost"),
    [
        ("{api: {url: 'http://x', auth: {type: bearer, token: '${GONE}'}}}", "api.auth", "token"),
        ("{git: {url: '${GONE}'}}", "git.url", "url"),
        ("{sql: {dsn: '${GONE}', query: q}}", "sql", "dsn"),
    ],
)
def test_what_is_missing_for_a_variable_names_the_variable(tmp_path: Path, source: str, place: str, lost: str) -> None:
    found = [
        one for one in errors(tmp_path, f"document_stores: {{d: {{source: {source}}}}}") if one.severity == "error"
    ]
    (one,) = found
    assert (one.kind, ".".join(map(str, one.where))) == ("variable", f"document_stores.d.source.{place}")
    assert f"no variable GONE, which {lost} would come from" in one.message
    assert "set GONE" in one.hint
