"""The light dataclass behaves as the standard one does, for what Hector uses."""

import dataclasses
import pickle
import sys
from dataclasses import asdict, field, fields, is_dataclass, replace
from typing import Any, ClassVar

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


@dataclass(kw_only=True)
class Named:
    """Everything by its name, and a field that is made afterwards."""

    unit: ClassVar[str] = "m"
    size: int = 3
    inner: list[int] = field(default_factory=list)
    double: int = field(init=False)
    plain: int = field(default=7, repr=False)

    def __post_init__(self) -> None:
        self.double = 2 * self.size


@dataclass(slots=True)
class Longer(Box):
    """One field more than its base."""

    more: int = field(default=1, kw_only=True)


def test_fields_of_all_kinds() -> None:
    named = Named(size=4)
    assert (named.size, named.inner, named.double, named.plain) == (4, [], 8, 7)
    assert (Named.unit, Named.size, Named.plain, hasattr(Named, "double")) == ("m", 3, 7, False)
    assert repr(named) == "Named(size=4, inner=[], double=8)"
    assert [one.name for one in fields(Named)] == ["size", "inner", "double", "plain"]
    assert replace(named, size=5).double == 10
    assert Named.__match_args__ == ()
    with pytest.raises(TypeError, match="positional"):
        Named(3)  # type: ignore[call-arg]


def test_fields_of_a_base() -> None:
    longer = Longer([1], more=2)
    assert (longer.inner, longer.more) == ([1], 2)
    assert longer != Box([1])
    assert list(vars(Longer)["__slots__"]) == ["more"]
    assert asdict(longer) == {"inner": [1], "more": 2}
    with pytest.raises(TypeError, match=r"Single.__init__\(\) missing 1 required"):
        Single()  # type: ignore[call-arg]


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


@dataclass(frozen=True)
class Kept:
    """Has its own start, its own hash, and something of the class in words."""

    x: int
    names: "ClassVar[tuple[str, ...]]" = ()

    def __init__(self, first: int, *_: int) -> None:
        object.__setattr__(self, "x", first)

    def __hash__(self) -> int:
        return 7


def test_what_a_class_says_itself_stays() -> None:
    one = Kept(1, 2, 3)
    assert one == Kept(1)
    assert hash(one) == 7
    assert repr(one).endswith("Kept(x=1)")
    assert [part.name for part in fields(Kept)] == ["x"]


@dataclass(slots=True)
class Often:
    """Made so often that its constructor is compiled."""

    x: int
    y: int = 2
    rest: list[int] = field(default_factory=list, kw_only=True)
    both: int = field(init=False)

    def __post_init__(self) -> None:
        self.both = self.x + self.y


def test_the_first_instances_are_as_all_others() -> None:
    for _ in range(50):
        for one in (Often(1, 3, rest=[4]), Often(y=3, x=1, rest=[4])):
            assert (one.x, one.y, one.rest, one.both) == (1, 3, [4], 4)
        assert Often(1) == Often(1, 2)
        wrong: tuple[tuple[tuple[int, ...], dict[str, Any], str], ...] = (
            ((), {}, "missing 1 required positional argument: 'x'"),
            ((1, 2, 3), {}, "positional arguments but 4 were given"),
            ((1,), {"x": 2}, "multiple values for argument 'x'"),
            ((1,), {"z": 2}, "unexpected keyword argument 'z'"),
        )
        for positional, named, said in wrong:
            with pytest.raises(TypeError, match=said):
                Often(*positional, **named)


def test_slots_and_hashes() -> None:
    assert not hasattr(Point(1), "__dict__")
    assert Box().inner is not Box().inner
    assert repr(Box()) == "Box()".replace("Box", Box.__qualname__)
    with pytest.raises(TypeError, match="unhashable"):
        hash(Box())
    with pytest.raises(AttributeError):
        Point(1).z = 1  # type: ignore[attr-defined]


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are worked out at once")
def test_annotations_may_name_what_comes_later() -> None:
    known: dict[str, Any] = {"dataclass": dataclass}
    exec("@dataclass(slots=True)\nclass Early:\n    later: Later\n    number: int = 2\nclass Later: ...\n", known)
    early, later = known["Early"], known["Later"]()
    assert (early(later).later, early(later).number) == (later, 2)
    assert [part.name for part in fields(early)] == ["later", "number"]
