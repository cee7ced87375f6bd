"""Somebody who is told how far something long has come."""


class Watcher:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, int, str]] = []
        self.done = 0

    def begin(self, title: str, total: int, unit: str) -> None:
        self.begun.append((title, total, unit))
        self.done = 0

    def advance(self, by: int = 1) -> None:
        self.done += by
