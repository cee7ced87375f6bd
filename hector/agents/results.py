"""What another agent has come to so far: its results, grown from pieces, and what of that is its answer."""

from dataclasses import replace

from hector.a2a.heard import Changed, Grown, Heard, Snapshot
from hector.core.content import Content, Text
from hector.core.event import Artifact, Delta, TextDelta, ThinkingDelta
from hector.core.task import TaskState

_PLAIN = frozenset((None, "", "text/plain", "text/markdown", "application/json"))
BREAK = "\n\n"
"""Between the texts of two results."""


class Results:
    """Results of plain text are the answer, in their order; everything else is handed on as it is.

    `count` is how much has come in.
    """

    def __init__(self) -> None:
        self.count = 0
        self._known: dict[str, Artifact] = {}
        self._shown = ""

    def take(self, item: Heard) -> tuple[Delta, ...]:
        """Take it in. What watchers are shown of it: what is new in the answer, and what is said meanwhile."""
        self.count += 1
        if isinstance(item, Grown):
            return self._grow(item.artifact, append=item.append)
        if isinstance(item, Snapshot):
            for one in item.artifacts:
                self._known[one.id] = one
            return self._news()
        if isinstance(item, Changed) and item.state is TaskState.WORKING:
            return tuple(ThinkingDelta(text) for part in item.said if (text := _aside(part)))
        return ()

    def _grow(self, piece: Artifact, *, append: bool) -> tuple[Delta, ...]:
        known = self._known.get(piece.id) if append else None
        if known is None:
            self._known[piece.id] = piece
            return self._news()
        last = known.parts[-1] if known.parts else None
        if isinstance(last, Text) and all(isinstance(part, Text) for part in piece.parts):
            text = "".join(part.text for part in piece.parts if isinstance(part, Text))
            parts: tuple[Content, ...] = (*known.parts[:-1], replace(last, text=last.text + text))
        else:
            text, parts = "", (*known.parts, *piece.parts)
        self._known[piece.id] = replace(known, parts=parts)
        if text and is_plain(known) and list(self._known)[-1] == piece.id:
            self._shown += text
            return (TextDelta(text),)
        return self._news()

    def _news(self) -> tuple[Delta, ...]:
        """What the answer has more than was shown; nothing while it is another one than that."""
        text = self._text()
        if not text.startswith(self._shown) or len(text) == len(self._shown):
            return ()
        fresh, self._shown = text[len(self._shown) :], text
        return (TextDelta(fresh),)

    def _text(self) -> str:
        texts = ("".join(part.text for part in one.parts if isinstance(part, Text)) for one in self._plain())
        return BREAK.join(text for text in texts if text)

    def _plain(self) -> list[Artifact]:
        return [one for one in self._known.values() if is_plain(one)]

    def answer(self) -> tuple[Content, ...]:
        """The answer; empty where all results are more than text."""
        text = self._text()
        return (Text(text),) if text else ()

    def artifacts(self) -> list[Artifact]:
        """Everything else."""
        return [one for one in self._known.values() if not is_plain(one) and one.parts]


def is_plain(artifact: Artifact) -> bool:
    """Whether a result is text that is meant to be read, rather than a file or a value."""
    return all(isinstance(part, Text) and not part.name and part.media_type in _PLAIN for part in artifact.parts)


def _aside(part: Content) -> str:
    """What is said while the work goes on; progress of tools is not said but shown where it happens."""
    return part.text if isinstance(part, Text) and part.text else ""
