"""Identifiers of everything that is stored."""

import os
import uuid

import pytest

from hector.core.ids import new_id


def test_ids_are_distinct_uuids_in_order_of_time() -> None:
    made = [new_id() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert {uuid.UUID(text).version for text in made} == {7}
    assert {uuid.UUID(text).variant for text in made} == {uuid.RFC_4122}
    times = [text[:13] for text in made]
    assert times == sorted(times)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_threads_and_forks_never_share_an_id() -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        made = [text for texts in pool.map(lambda _: [new_id() for _ in range(1000)], range(8)) for text in texts]
    assert len(set(made)) == len(made)
    receiving, sending = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(sending, new_id().encode())
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(receiving, "rb") as pipe:
        os.close(sending)
        assert pipe.read().decode()[14:] != new_id()[14:]
