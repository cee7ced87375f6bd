"""The light dataclass behaves as the standard one does, for what Hector uses."""

import dataclasses
import pickle
from dataclasses import asdict, field, fields, is_dataclass, replace

import pytest

from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """A value."""

    x: int
    y: int = 2
    tags: tuple[str, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Single:
    """One field."""

    value: object


@dataclass(slots=True)
class Box:
    """A mutable one."""

    inner: list[int] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class Own(Point):
    """Says itself how it looks."""

    def __repr__(self) -> str:
        return "Own!"


@dataclasses.dataclass(frozen=True, slots=True)
class Standard:
    """What it is measured by."""

    x: int
    y: int = 2
    tags: tuple[str, ...] = field(default_factory=tuple)


def test_values() -> None:
    assert Point(1) == Point(1, 2, ())
    assert Point(1) != Point(2)
    assert Point(1) != Standard(1)  # type: ignore[comparison-overlap]
    assert {Point(1), Point(1), Point(2)} == {Point(2), Point(1)}
    assert Single(1) == Single(1)
    assert hash(Single("a")) == hash(Single("a"))
    assert repr(Point(1)) == repr(Standard(1)).replace("Standard", "Point")
    assert repr(Own(1)) == "Own!"


def test_the_standard_functions_work() -> None:
    assert is_dataclass(Point)
    assert [one.name for one in fields(Point)] == ["x", "y", "tags"]
    assert replace(Point(1), y=5) == Point(1, 5)
    assert asdict(Point(1)) == asdict(Standard(1))
    assert pickle.loads(pickle.dumps(Point(1, tags=("a",)))) == Point(1, tags=("a",))
    match Point(3, 4):
        case Point(x, y):
            assert (x, y) == (3, 4)


def test_slots_and_hashes() -> None:
    assert not hasattr(Point(1), "__dict__")
    assert Box().inner is not Box().inner
    assert repr(Box()) == "Box()".replace("Box", Box.__qualname__)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box())
    with pytest.raises(AttributeError):
        Point(1).z = 1  # type: ignore[attr-defined]
