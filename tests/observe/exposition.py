"""Reads what /metrics serves, with the parsers of Prometheus' own library."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@dataclass(frozen=True)
class Page:
    """Samples by name; `families` are all that are announced."""

    families: Mapping[str, str]
    samples: tuple[tuple[str, Mapping[str, str], float], ...]

    def sum(self, name: str, **labels: str) -> float:
        """All samples of a name that have these labels."""
        return sum(value for one, has, value in self.samples if one == name and labels.items() <= has.items())

    def values(self, label: str, name: str = "") -> set[str]:
        """What a label says, of all samples or those of a name."""
        return {has[label] for one, has, _ in self.samples if label in has and name in ("", one)}

    @property
    def names(self) -> set[str]:
        """The names of all samples."""
        return {name for name, _, _ in self.samples}


def parsed(text: str, kind: str = "") -> Page:
    """A page in the one format or the other."""
    read: Any = read_openmetrics if kind.startswith("application/openmetrics-text") else read_text
    found = list(read(text))
    samples = tuple((one.name, one.labels, one.value) for family in found for one in family.samples)
    return Page({family.name: family.type for family in found}, samples)


def scrape(url: str, headers: Mapping[str, str], path: str = "/metrics") -> Page:
    """One scrape."""
    answer = httpx.get(url + path, headers=dict(headers), timeout=30)
    assert answer.status_code == 200, answer.text
    return parsed(answer.text, answer.headers["content-type"])
