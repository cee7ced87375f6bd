"""`dataclass` for the values that the whole program is made of, cheap to define and cheap to make.

The standard decorator compiles six methods per class and sets each field of a frozen instance through a function call:
for a hundred classes that is a tenth of a second at every start, and 1.5 us instead of 0.3 us per value. Here only
`__init__` is compiled, when the first instance is made, which for most classes a start never does; the rest is shared.
Type checkers see the standard decorator, so that "frozen" is theirs to enforce; nothing is checked at run time. `field`,
`replace` and `asdict` of the standard library work as ever.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from operator import attrgetter

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False):
        """As dataclasses.dataclass, for the options that Hector uses."""

        def wrap(plain):
            made = dataclasses.dataclass(plain, init=False, repr=False, eq=False, slots=slots, kw_only=kw_only)
            made.__init__ = _first_of(made)
            own = vars(plain)
            names = tuple(made.__dataclass_fields__)
            if "__repr__" not in own:
                made.__repr__ = _repr
            if "__eq__" not in own:
                made.__eq__, made.__hash__ = _comparison(names, frozen=frozen)
            return made

        return wrap if cls is None else wrap(cls)

    def _first_of(made):
        """The `__init__` of a first instance: puts the compiled one in its own place."""

        def __init__(self, /, *args, **kwargs):
            made.__init__ = compiled = _compiled(made)
            compiled(self, *args, **kwargs)

        return __init__

    def _compiled(made):
        """The standard `__init__`, taken from a class that has the same fields and nothing else."""
        fields = [(one.name, one.type, one) for one in dataclasses.fields(made)]
        after = {"__post_init__": None} if hasattr(made, "__post_init__") else {}
        twin = dataclasses.make_dataclass(
            made.__name__, fields, namespace={"__doc__": made.__doc__, **after}, repr=False, eq=False, match_args=False
        )
        twin.__init__.__qualname__ = f"{made.__qualname__}.__init__"  # as error texts name it
        return twin.__init__

    def _repr(self):
        pairs = [f"{name}={getattr(self, name)!r}" for name, one in self.__dataclass_fields__.items() if one.repr]
        return f"{type(self).__qualname__}({', '.join(pairs)})"

    def _comparison(names, *, frozen):
        """Equality by all fields; the hash goes with it where the values stand still."""
        if len(names) > 1:
            key = attrgetter(*names)
        else:

            def key(one):
                return tuple(getattr(one, name) for name in names)

        def equal(self, other):
            return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

        def hashed(self):
            return hash(key(self))

        return equal, hashed if frozen else None
