"""An app: its model clients are made once, and ahead of the first message."""

import threading

from hector.apps.app import App, Models
from hector.config.load import parse_config
from hector.core.errors import ConfigError
from hector.core.ports import ChatModel
from hector.models.registry import create


def app_that_notes(made: list[tuple[str, bool]], *names: str) -> App:
    """An app on scripted models. `made`: which were created, and whether in the main thread."""
    config = parse_config("llms: {one: {provider: scripted}, two: {provider: scripted}}").config

    def make(name: str) -> ChatModel:
        made.append((name, threading.current_thread() is threading.main_thread()))
        if name not in config.llms:
            raise ConfigError("there is no such model")
        return create(name, config.llms[name])

    return App("default", config, {}, Models(make), names)


async def test_models_in_use_are_made_aside_and_once() -> None:
    made: list[tuple[str, bool]] = []
    app = app_that_notes(made, "one")
    await app.prepare()
    first = app.models.get("one")
    await app.prepare()
    assert app.models.get("one") is first
    assert made == [("one", False)]
    await app.models.aclose()


async def test_a_model_that_cannot_be_made_keeps_no_other_from_it() -> None:
    made: list[tuple[str, bool]] = []
    app = app_that_notes(made, "missing", "two")
    await app.prepare()
    assert [name for name, _ in made] == ["missing", "two"]
    await app.models.aclose()
