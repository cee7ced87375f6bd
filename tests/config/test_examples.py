"""Every example is right as it stands."""

from pathlib import Path

import pytest

from hector.config.load import load_config
from hector.config.providers import PROVIDERS
from tests.config.sample import surroundings

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("**/*.yaml"))


@pytest.mark.proves("config.sections")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example(path: Path, tmp_path: Path) -> None:
    loaded = load_config(path, surroundings(tmp_path))
    assert loaded.warnings == ()


def test_there_is_one_for_every_provider(tmp_path: Path) -> None:
    configs = [load_config(path, surroundings(tmp_path)).config for path in EXAMPLES]
    used = {llm.provider for config in configs for llm in config.llms.values()}
    assert used == {provider.name for provider in PROVIDERS}


def test_the_demonstration(tmp_path: Path) -> None:
    loaded = load_config(ROOT / "hector/config/demo.yaml", surroundings(tmp_path, {}))
    assert loaded.warnings == ()
