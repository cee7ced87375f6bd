"""`dataclass` for the values that the whole program is made of, cheap to define and cheap to make.

The standard decorator compiles six methods per class and sets each field of a frozen instance through a function call:
for two hundred classes that is a seventh of a start, and 1.5 us instead of 0.3 us per value. Here a class is taken note
of, `__init__` is compiled when there are more instances than a few, which for most classes a start never makes, and the
rest is shared. What the standard functions (`fields`, `replace`, `asdict`) go by is made by the standard decorator, for
the few classes that they are used on, when they are. Type checkers see the standard decorator, so that "frozen" is
theirs to enforce; nothing is checked at run time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:
    import dataclasses
    from operator import attrgetter
    from typing import ClassVar

    _NONE = dataclasses.MISSING
    _FEW = 30  # instances that are made field by field, 2 us each; to compile a function for the rest costs 90 us

    class _Part:
        """A field: what it is called and annotated with, and what `field(...)` says of it, or its default."""

        __slots__ = ("annotation", "default", "factory", "given", "init", "kw_only", "name", "repr")

        def __init__(self, name, annotation, default, kw_only):
            self.name = name
            self.annotation = annotation
            self.given = default
            self.default, self.factory, self.init, self.repr, self.kw_only = default, _NONE, True, True, kw_only
            if isinstance(default, dataclasses.Field):
                self.default, self.factory = default.default, default.default_factory
                self.init, self.repr = default.init, default.repr
                self.kw_only = kw_only if default.kw_only is _NONE else default.kw_only

    def dataclass(cls=None, /, *, frozen=False, slots=False, kw_only=False):
        """As dataclasses.dataclass, for the options that Hector uses."""

        def wrap(plain):
            own = {
                name: _Part(name, annotation, vars(plain).get(name, _NONE), kw_only)
                for name, annotation in _annotations(plain).items()
                if not _of_the_class(annotation)
            }
            parts = {}
            for base in reversed(plain.__mro__[1:]):
                parts.update(vars(base).get("__record__", {}))
            parts.update(own)
            more = _methods(vars(plain), parts, frozen=frozen)
            made = _slotted(plain, own, more) if slots else _cleared(plain, own, more)
            if "__init__" not in vars(made):
                made.__init__ = _first_of(made)
            return made

        return wrap if cls is None else wrap(cls)

    def _annotations(plain):
        """Those of the class itself. Python 3.14 works them out when asked for, so they may name what comes later."""
        try:
            return plain.__annotations__
        except NameError:
            import annotationlib  # noqa: PLC0415 - there is none before Python 3.14

            return annotationlib.get_annotations(plain, format=annotationlib.Format.FORWARDREF)

    def _of_the_class(annotation):
        """Whether it says ClassVar, as such or in words."""
        if isinstance(annotation, str):
            return "ClassVar" in annotation.partition("[")[0]
        if annotation.__class__ is type:
            return False
        return annotation is ClassVar or getattr(annotation, "__origin__", None) is ClassVar

    def _slotted(plain, own, more):
        """The class again, with a slot for each of its own fields."""
        taken = {name for base in plain.__mro__[1:-1] for name in vars(base).get("__slots__", ())}
        body = {name: value for name, value in vars(plain).items() if name not in own}
        body.pop("__dict__", None)
        body.pop("__weakref__", None)
        body.update(more)
        body["__slots__"] = tuple([name for name in own if name not in taken])
        made = type(plain)(plain.__name__, plain.__bases__, body)
        made.__qualname__ = plain.__qualname__
        return made

    def _cleared(plain, own, more):
        """The class itself, with the defaults of its fields where `field(...)` stood."""
        for name, part in own.items():
            if part.given is not part.default:
                if part.default is _NONE:
                    delattr(plain, name)
                else:
                    setattr(plain, name, part.default)
        for name, value in more.items():
            setattr(plain, name, value)
            if isinstance(value, _Standard):
                value.__set_name__(plain, name)
        return plain

    def _methods(own, parts, *, frozen):
        """What a class gets beside what it has itself: by name, `__init__` excepted."""
        more = {"__record__": parts, "__dataclass_fields__": _Standard(), "__dataclass_params__": _Standard()}
        if "__match_args__" not in own:
            more["__match_args__"] = tuple([name for name, part in parts.items() if part.init and not part.kw_only])
        if "__repr__" not in own:
            more["__repr__"] = _repr
        if "__eq__" not in own:
            more["__eq__"], hashed = _comparison(tuple(parts), frozen=frozen)
            if own.get("__hash__") is None:
                more["__hash__"] = hashed
        return more

    class _Standard:
        """What the standard decorator leaves on a class for its own functions, made when one of them asks for it."""

        def __set_name__(self, made, name):
            self.name = name
            self.made = made

        def __get__(self, one, kind):
            made = self.made
            given = [(part.name, part.annotation, _field_of(part)) for part in made.__record__.values()]
            spared = {"__doc__": " "}  # without a text, the signature would be made into one, which takes milliseconds
            twin = dataclasses.make_dataclass(
                made.__name__, given, init=False, eq=False, repr=False, match_args=False, namespace=spared
            )
            made.__dataclass_fields__, made.__dataclass_params__ = twin.__dataclass_fields__, twin.__dataclass_params__
            return getattr(made, self.name)

    def _field_of(part):
        if isinstance(part.given, dataclasses.Field):
            return part.given
        return dataclasses.field(default=part.default, kw_only=part.kw_only)

    def _first_of(made):
        """The `__init__` of the first instances, which puts a compiled one in its own place when more are made."""
        count = 0

        def first(self, /, *args, **kwargs):
            nonlocal count
            count += 1
            if count > _FEW or not _filled(self, made.__record__, args, kwargs):
                made.__init__ = compiled = _compiled(made)
                compiled(self, *args, **kwargs)
            elif hasattr(made, "__post_init__"):
                self.__post_init__()

        return first

    def _filled(one, parts, args, kwargs):
        """Set the fields; False, whatever is set by then, if the arguments are not those of the class."""
        given = iter(args)
        taken = 0
        for name, part in parts.items():
            value = next(given, _NONE) if part.init and not part.kw_only else _NONE
            if value is _NONE and part.init and name in kwargs:
                value = kwargs[name]
                taken += 1
            if value is _NONE:
                value = part.default if part.factory is _NONE else part.factory()
            if value is not _NONE:
                setattr(one, name, value)
            elif part.init:
                return False
        return taken == len(kwargs) and next(given, _NONE) is _NONE

    def _compiled(made):
        """A function that takes the fields and sets them."""
        known, lines = {"_FACTORY": _NONE}, []
        places, names = [], []
        for name, part in made.__record__.items():
            if part.default is not _NONE:
                known[f"_default_{name}"] = part.default
            elif part.factory is not _NONE:
                known[f"_make_{name}"] = part.factory
            if part.init:
                (names if part.kw_only else places).append(_parameter(name, part))
            if (value := _value(name, part)) is not None:
                lines.append(f" self.{name} = {value}")
        if hasattr(made, "__post_init__"):
            lines.append(" self.__post_init__()")
        head = ", ".join(["self", *places, *(["*", *names] if names else [])])
        exec(f"def __init__({head}):\n" + ("\n".join(lines) or " pass"), known)  # noqa: S102 - names of fields
        compiled = known["__init__"]
        compiled.__qualname__ = f"{made.__qualname__}.__init__"  # as error texts name it
        compiled.__module__ = made.__module__
        return compiled

    def _parameter(name, part):
        if part.default is not _NONE:
            return f"{name}=_default_{name}"
        return name if part.factory is _NONE else f"{name}=_FACTORY"

    def _value(name, part):
        """Where the value of a field comes from; None: from nowhere yet."""
        if part.factory is not _NONE:
            return f"_make_{name}() if {name} is _FACTORY else {name}" if part.init else f"_make_{name}()"
        return name if part.init else f"_default_{name}" if part.default is not _NONE else None

    def _repr(self):
        pairs = [f"{name}={getattr(self, name)!r}" for name, part in self.__record__.items() if part.repr]
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
