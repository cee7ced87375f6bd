"""Identifiers of everything that is stored."""

import uuid

from hector.core.ids import new_id


def test_ids_are_distinct_uuids_in_order_of_time() -> None:
    made = [new_id() for _ in range(2000)]
    assert len(set(made)) == len(made)
    assert {uuid.UUID(text).version for text in made} == {7}
    assert {uuid.UUID(text).variant for text in made} == {uuid.RFC_4122}
    times = [text[:13] for text in made]
    assert times == sorted(times)
