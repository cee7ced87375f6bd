"""The delivered form under test: from source always, the built ones under the mark `frozen`."""

from pathlib import Path

import pytest

from tests.smoke.frontdoor import DIST, FORMS, Hector


@pytest.fixture(
    params=[
        "source",
        pytest.param("one-file", marks=pytest.mark.frozen),
        pytest.param("one-folder", marks=pytest.mark.frozen),
    ]
)
def hector(request: pytest.FixtureRequest, tmp_path: Path) -> Hector:
    """Hector in an empty folder with an empty home; the built forms also without anything on PATH."""
    form: str = request.param
    command = FORMS[form]
    if form != "source" and not Path(command[0]).exists():
        pytest.fail(f"{Path(command[0]).relative_to(DIST.parent)} is missing: run `make binary` first")
    return Hector(command, tmp_path)
