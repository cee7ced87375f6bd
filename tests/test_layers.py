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
    {"auth"},
    {"models", "tools", "a2a"},
    {"agents"},
    {"runner"},
    {"apps"},
    {"tasks"},
    {"web"},
    {"cli"},
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
