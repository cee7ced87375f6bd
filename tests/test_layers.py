"""The package is a stack: a module may import only from its own package or a lower layer."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "hector"
LAYERS: list[set[str]] = [  # lowest first
    {"core"},
    {"config"},
    {"observe"},
    {"net"},
    {"store"},
    {"auth", "limits"},
    {"models", "tools", "mcp", "rag", "a2a"},
    {"agents"},
    {"runner"},
    {"apps"},
    {"tasks"},
    {"web"},
    {"cli"},
    {"api"},
]
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
OWNERS = {
    "sqlite3": {"store"},
    "asyncpg": {"store"},
    "yaml": {"config"},
    "httpx": {"net", "models"},
    "httptools": {"net"},
    "starlette": {"web"},
    "uvicorn": {"cli"},
    "jsonschema": {"tools", "agents"},
    "jwt": {"auth"},
    "cryptography": {"auth"},
    "mcp": {"mcp"},
    "numpy": {"rag"},
    "prometheus_client": {"observe"},
}
MODULES = sorted(path for path in ROOT.rglob("*.py") if path.parent != ROOT)


def imports(tree: ast.AST) -> list[str]:
    """Every imported name, function-local and TYPE_CHECKING ones included."""
    found: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
            if node.module == "hector":
                found += [f"hector.{alias.name}" for alias in node.names]
    return found


def violations(path: Path) -> list[str]:
    mine = path.relative_to(ROOT).parts[0]
    if mine not in RANK:
        return [f"package {mine} has no layer"]
    bad: list[str] = []
    for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top == "hector" and target in RANK and target != mine and RANK[target] >= RANK[mine]:
            bad.append(f"{mine} must not import {name}")
        if top in OWNERS and mine not in OWNERS[top]:
            bad.append(f"only {sorted(OWNERS[top])} may import {top}")
    return bad


@pytest.mark.proves("house.layers")
@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_module_obeys_the_layering(path: Path) -> None:
    assert violations(path) == []


def test_every_package_has_a_layer() -> None:
    packages = {path.name for path in ROOT.iterdir() if path.is_dir() and list(path.glob("*.py"))}
    assert packages <= RANK.keys()


NAMES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path for path in MODULES
}


def neighbours(path: Path) -> set[str]:
    """The modules of ours that one imports, wherever and for whatever it does."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & NAMES.keys()
            found |= inner | (set() if len(inner) == len(node.names) else {node.module})
    return found & NAMES.keys()


def reachable(start: str, graph: dict[str, set[str]]) -> set[str]:
    """What is imported from a module on, through however many others."""
    seen: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += graph[name]
    return seen


@pytest.mark.proves("house.layers")
def test_no_modules_import_each_other() -> None:
    """Not even for the types: what needs each other to be understood belongs together, or apart."""
    graph = {name: neighbours(path) - {name} for name, path in NAMES.items()}
    reached = {name: reachable(name, graph) for name in graph}
    cycles = {
        frozenset(other for other in reached[name] if name in reached[other]) for name in graph if name in reached[name]
    }
    assert [sorted(cycle) for cycle in cycles] == []
