"""What a process does next about jobs that wait, as a table."""

from dataclasses import replace

import pytest

from hector.store.jobs import LOWEST
from hector.tasks.looking import (
    BATCH,
    OVERTAKEN,
    URGENT,
    Known,
    Look,
    MakeRoom,
    Recover,
    Rest,
    Step,
    Take,
    next_step,
)

pytestmark = pytest.mark.proves("queue.places")

CALM = Known(now=100.0, every=5.0, free=256, spare=128, places=128)
FULL = replace(CALM, spare=0, ripens=0.4)
"""All places for work that can wait are taken, and the first of it has had its patience in less than half a second."""
NOW, LATER, NEVER = 99.0, 102.0, None


@pytest.mark.parametrize(
    ("known", "step"),
    [
        (replace(CALM, doubt=True, claimed=3), Recover()),
        # Places are free for everything.
        (CALM, Look(LOWEST)),
        (replace(CALM, due={LOWEST: NEVER}), Rest(5.0)),
        (replace(CALM, due={LOWEST: LATER}), Rest(2.0)),
        (replace(CALM, due={LOWEST: 1e9}), Rest(5.0)),
        (replace(CALM, due={LOWEST: NOW}), Take(BATCH, LOWEST)),
        (replace(CALM, due={LOWEST: NOW}, free=3), Take(3, LOWEST)),
        (replace(CALM, due={LOWEST: NOW}, spare=2), Take(2, LOWEST)),
        (replace(CALM, plenty=True), Take(BATCH, LOWEST)),
        # After a claim.
        (replace(CALM, due={LOWEST: NOW}, asked=64, claimed=64), Rest(0.0, plenty=True)),
        (replace(CALM, due={LOWEST: NOW}, asked=64, claimed=5), Rest(0.0)),
        (replace(CALM, due={LOWEST: NOW}, asked=64, claimed=0), Rest(OVERTAKEN)),
        (replace(CALM, plenty=True, asked=64, claimed=0), Rest(0.0)),
        (replace(CALM, spare=0, due={URGENT: NOW}, asked=64, claimed=1), Rest(0.0, hungry=True)),
        # No place at all.
        (replace(CALM, free=0, due={LOWEST: NOW}), Rest(5.0, hungry=True)),
        (replace(CALM, free=-1, plenty=True), Rest(5.0, hungry=True)),
        # Work that can wait has taken what it may: runs still begin.
        (FULL, Look(URGENT)),
        (replace(FULL, due={URGENT: NOW}), Take(BATCH, URGENT)),
        (replace(FULL, plenty=True), Take(BATCH, URGENT)),
        (replace(FULL, due={URGENT: NEVER}, ripens=None), Rest(5.0, hungry=True)),
        # Does anything wait for the places of work that has had its patience?
        (replace(FULL, due={URGENT: NEVER}), Look(LOWEST)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: NEVER}), Rest(5.0, hungry=True)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: LATER}), Rest(2.0, hungry=True)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: NOW}), Rest(0.4, hungry=True)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: NOW}, ripe=128, ripens=0.0), MakeRoom(32)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: NOW}, ripe=5, ripens=0.0), MakeRoom(5)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: NOW}, ripe=1, ripens=0.0, places=1), MakeRoom(1)),
        (replace(FULL, due={URGENT: NEVER, LOWEST: NOW}, ripe=9, yielded=True), Rest(5.0, hungry=True)),
        # Runs find no place, because work that can wait has them.
        (replace(FULL, free=0, due={URGENT: NOW}), Look(LOWEST)),
        (replace(FULL, free=0, due={URGENT: NOW, LOWEST: NOW}, ripe=2, ripens=0.0), MakeRoom(2)),
    ],
)
def test_the_next_step(known: Known, step: Step) -> None:
    assert next_step(known) == step


@pytest.mark.parametrize("spare", [0, 1, 128])
@pytest.mark.parametrize("free", [0, 1, 256])
@pytest.mark.parametrize("due", [NEVER, NOW, LATER])
@pytest.mark.parametrize("ripe", [0, 9])
@pytest.mark.parametrize("plenty", [True, False])
def test_every_round_comes_to_an_end(spare: int, free: int, due: float | None, ripe: int, plenty: bool) -> None:
    known = replace(CALM, spare=spare, free=free, ripe=ripe, ripens=0.0 if ripe else 0.3, plenty=plenty)
    step = next_step(known)
    for _ in range(5):
        match step:
            case Look(least):
                assert least not in known.due, "nobody looks twice"
                known = replace(known, due={**known.due, least: due})
            case Take(count, _):
                assert 0 < count <= min(free, BATCH)
                known = replace(known, asked=count, claimed=count)
            case MakeRoom(count):
                assert 0 < count <= ripe
                known = replace(known, yielded=True)
            case _:
                break
        step = next_step(known)
    assert isinstance(step, Rest)
