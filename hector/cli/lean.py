"""A quicker start, for a process that is ours alone: fewer collections, no plugins, no command line but ours."""

import argparse
import dataclasses
import gc
import os
import sys
import typing
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

import typing_extensions

from hector.cli.quickfind import find_as_ever, find_quickly
from hector.core import record
from hector.core.httpdate import http_date
from hector.core.pattern import on_demand

_GC_THRESHOLDS: Final = (20_000, 20, 50)
"""What is loaded at the start stays, and what a turn makes dies by itself: looking for cycles less often saves a tenth
of the start and a few per cent of every turn."""

_PLUGIN_LOADER: Final = "pydantic.plugin._loader"

_OF_PYDANTIC: Final = ("pydantic.main", "pydantic.fields", "pydantic.functional_validators", "pydantic.type_adapter")
_OF_WEB: Final = ("asyncio", "uvicorn.config", "uvicorn.server", "starlette.routing")
_OPTIONS: Final = frozenset({"frozen", "slots", "kw_only"})
_standard: Final = dataclasses.dataclass

_TLS_DEFAULTS: Final = {"PROTOCOL_TLS_SERVER": 17, "CERT_NONE": 0}
"""As in OpenSSL's header, and in all versions of Python."""

_FORMS: Final = "starlette.formparsers"
_FORM_CLASSES: Final = ("FormParser", "MultiPartException", "MultiPartParser")

_POSTPONED: Final[dict[str, dict[str, object]]] = {
    "html": {},
    "http.client": {},
    "http.cookies": {},
    "logging.config": {},
    "shutil": {},
    "subprocess": {"PIPE": -1, "STDOUT": -2, "DEVNULL": -3},
    "anyio": {},
    "anyio.abc": {},
    "anyio.to_thread": {},
}
"""Modules that packages of ours load for what a start never does -> what they take from them all the same: error pages,
reasons of answers, cookies, configured logs, temporary files, processes, for which asyncio has defaults, and threads of
starlette's. With what they load themselves it is thirty modules, and a fourteenth of the start."""


def hurry() -> None:
    """To be called before anything is loaded. What a start makes stays, so nobody looks for garbage until `settle`."""
    gc.disable()
    gc.set_threshold(*_GC_THRESHOLDS)
    find_quickly()
    _speak_plainly()
    _skip_plugins()
    _skip_forms()
    _postpone_tls()
    with _defined_quickly():
        for name, known in _POSTPONED.items():
            _postpone(name, known)
        for name in _OF_PYDANTIC:
            import_module(name)


@contextmanager
def _defined_quickly() -> Iterator[None]:
    """What packages that are loaded meanwhile define as values, typed dictionaries and patterns is not compiled.

    The standard decorator compiles four to eight methods for a value, of which a program calls few; a typed dictionary
    has each annotation compiled, of which it reads none. In pydantic and what it brings, that is a thousand pieces of
    code, an eighth of a start and a MB.
    """
    before = dataclasses.dataclass, typing.TypedDict, typing_extensions.TypedDict
    dataclasses.dataclass = _dataclass
    typing.TypedDict = typing_extensions.TypedDict = _TypedDict  # type: ignore[assignment]
    stood_in = {name: _StandIn(name) for name in _STOOD_IN if name not in sys.modules}
    for name, module in stood_in.items():
        module.__dict__.update(_STOOD_IN[name])
    sys.modules.update(stood_in)
    try:
        with on_demand():
            yield
    finally:
        for name, module in stood_in.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        dataclasses.dataclass, typing.TypedDict, typing_extensions.TypedDict = before


def _formatdate(timeval: float | None = None, localtime: bool = False, usegmt: bool = False) -> str:
    if localtime or not usegmt:
        return str(import_module("email.utils").formatdate(timeval, localtime, usegmt))
    return http_date(timeval)


def _format_datetime(moment: Any, usegmt: bool = False) -> str:
    return str(import_module("email.utils").format_datetime(moment, usegmt))


_STOOD_IN: Final[dict[str, dict[str, object]]] = {
    "configparser": {"RawConfigParser": object},
    "email.utils": {"formatdate": _formatdate, "format_datetime": _format_datetime},
    "platform": {"system": lambda: os.uname().sysname},
}
"""Modules of Python -> all that is asked of them while other packages are loaded: by uvicorn for an annotation and the
header `date`, by starlette for cookies and files, by uuid for the kind of system. Who asks for more gets the module."""


def _dataclass(cls: type | None = None, /, **options: Any) -> Any:
    """The decorator of ours where it can do what is asked for, else the standard one."""
    make = record.dataclass if options.keys() <= _OPTIONS else _standard
    return make(cls, **options)


class _TypedDict(dict[str, Any]):
    """Stands for TypedDict: a class with annotations, of which no instance is ever checked."""

    def __init_subclass__(cls, **_: object) -> None:
        pass


class _Postponed(ModuleType):
    """Stands for a module until something of it is used. Python's own LazyLoader gives up at the second import."""

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            sys.modules.pop(self.__name__, None)
        module = import_module(self.__name__)
        self.__dict__.update((key, value) for key, value in vars(module).items() if not key.startswith("__"))
        return getattr(module, name)


class _StandIn(_Postponed):
    """The same for a module that answers some things itself, and is no package, which `from ... import` asks first."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":
            raise AttributeError(name)
        return super().__getattr__(name)


def _postpone(name: str, known: Mapping[str, object]) -> None:
    """Have a module loaded when more of it is used than is known. Without effect if it is loaded already."""
    if name in sys.modules:
        return
    package, _, child = name.rpartition(".")
    if package:
        import_module(package)
    module = sys.modules[name] = _Postponed(name)
    module.__dict__.update(known)
    if package:
        setattr(sys.modules[package], child, module)


def _postpone_tls() -> None:
    """Have asyncio and uvicorn load TLS when the first connection is secured: a fortieth of the start, and a MB.

    What uvicorn takes from it for its own defaults is at hand, and so is the answer to what asyncio asks of sockets.
    Without effect if asyncio is loaded already.
    """
    if "asyncio" not in sys.modules:
        sys.modules.setdefault("asyncio.sslproto", _Postponed("asyncio.sslproto"))
        if "ssl" not in sys.modules:
            sys.modules["ssl"] = module = _Postponed("ssl")
            module.__dict__.update(_TLS_DEFAULTS, SSLSocket=_TlsSocket)


class _Checked(type):
    def __instancecheck__(cls, one: object) -> bool:
        module = sys.modules["ssl"]
        return not isinstance(module, _Postponed) and isinstance(one, module.SSLSocket)


class _TlsSocket(metaclass=_Checked):
    """Stands for the class that asyncio asks each socket for: nothing is one as long as TLS is not loaded."""


def _speak_plainly() -> None:
    """Keep argparse from looking for translations of its texts, of which there are none, in 24 files per text.

    Without effect if it does not keep its translators under these names.
    """
    for name in ("_", "ngettext"):
        if name in vars(argparse):
            setattr(argparse, name, _untranslated)


def _untranslated(one: str, many: str = "", number: int = 1) -> str:
    return one if number == 1 else many


def _skip_plugins() -> None:
    """Keep pydantic from searching every installed package for plugins before it builds its first validator.

    Nobody else's plugin has a say in our configuration. PYDANTIC_DISABLE_PLUGINS would spare the search, but not
    loading the archive, mail and package-metadata modules for it: 10 ms and 1 MB at every start. Without effect if
    pydantic is loaded already, or keeps its search elsewhere.
    """
    if _PLUGIN_LOADER not in sys.modules:
        module = ModuleType(_PLUGIN_LOADER)
        setattr(module, "get_plugins", tuple)  # noqa: B010 - a module has no such attribute for the type checker
        sys.modules[_PLUGIN_LOADER] = module


def _skip_forms() -> None:
    """Keep starlette from loading what reads HTML forms: no endpoint of ours takes one, and its `form()` says so.

    With the temporary files and the mail headers that it brings along, a fiftieth of the start. Without effect if
    starlette has loaded it already.
    """
    if _FORMS in sys.modules:
        return
    module = sys.modules[_FORMS] = ModuleType(_FORMS)
    module.__dict__.update({name: type(name, (Exception,), {}) for name in _FORM_CLASSES})
    for name in ("python_multipart", "multipart"):
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]  # as if it were not installed


def skip_command_line() -> None:
    """Keep uvicorn's package from loading its command line, which brings click and the reloading supervisors along.

    The package itself only passes names on; its modules, which are what we use, load as ever. A sixth of what a bare
    uvicorn loads. Without effect if uvicorn is loaded already.
    """
    if "uvicorn" in sys.modules:
        return
    spec = find_spec("uvicorn")
    if spec is not None and spec.submodule_search_locations is not None:
        package = ModuleType("uvicorn")
        package.__path__ = spec.submodule_search_locations
        package.__spec__ = spec
        package.__dict__["__getattr__"] = _passed_on
        sys.modules["uvicorn"] = package
        with _defined_quickly():
            for name in _OF_WEB:
                import_module(name)


def _passed_on(name: str) -> Any:
    """The two names that uvicorn's own modules take from the package."""
    if name in ("Config", "Server"):
        return getattr(import_module(f"uvicorn.{name.lower()}"), name)
    raise AttributeError(name)


def settle() -> None:
    """Clear up after the start, and keep what is left out of all later collections, which begin now.

    From here on modules are found as ever: a server runs for months, and somebody may write a program meanwhile.
    """
    find_as_ever()
    gc.enable()
    gc.collect()
    gc.freeze()
