"""Who is served does not notice that documents are indexed."""

import pytest

from bench.indexing import measured

DOCUMENTS = 1500


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.proves("rag.responsive")
@pytest.mark.parametrize("embedder", ["none", "openai"])
def test_indexing_does_not_hold_up_who_is_served(embedder: str) -> None:
    run = measured(DOCUMENTS, embedder)
    slack = run.idle.longest  # what the machine itself does to a probe
    assert run.busy.p99 < 50 + slack, str(run)
    assert 0 < run.first < 2 + slack / 1000, str(run)
    assert run.total > 0, str(run)
