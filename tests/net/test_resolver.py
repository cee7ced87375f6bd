"""Names are looked up side by side, each by one thread, and those that hang hold up only so many others."""

import asyncio
import threading
from collections.abc import Iterator, Sequence

import pytest

from hector.net.resolver import Resolver

pytestmark = pytest.mark.proves("push.crowd")


class Names:
    """Knows every name; those that begin with `hang` only once `let_go` is set."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        if host.startswith("hang"):
            assert self.let_go.wait(60)
        if host.startswith("no"):
            raise OSError(f"{host} is not known")
        return [f"192.0.2.{port}"]


@pytest.fixture
def names() -> Iterator[Names]:
    found = Names()
    yield found
    found.let_go.set()


async def test_a_name_that_hangs_takes_one_place_however_many_want_it(names: Names) -> None:
    resolver = Resolver(names, most=2)
    async with asyncio.timeout(60):
        waiting = [asyncio.create_task(resolver("hang", 1)) for _ in range(50)]
        assert await resolver("quick", 2) == ["192.0.2.2"]
        assert not any(one.done() for one in waiting)
        names.let_go.set()
        assert [await one for one in waiting] == [["192.0.2.1"]] * 50
    assert names.asked.count("hang") == 1


async def test_those_that_give_up_leave_no_more_threads_behind_than_there_are_places(names: Names) -> None:
    resolver = Resolver(names, most=2)
    for number in range(20):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await resolver(f"hang {number}", 1)
    assert names.asked == ["hang 0", "hang 1"]
    names.let_go.set()
    async with asyncio.timeout(60):
        assert await resolver("quick", 2) == ["192.0.2.2"]


async def test_a_name_that_is_not_known_is_asked_for_again(names: Names) -> None:
    resolver = Resolver(names, most=1)
    for _ in range(2):
        with pytest.raises(OSError, match="no such name is not known"):
            await resolver("no such name", 1)
    assert names.asked == ["no such name"] * 2


async def test_the_system_knows_this_machine() -> None:
    async with asyncio.timeout(60):
        assert set(await Resolver()("127.0.0.1", 80)) == {"127.0.0.1"}
