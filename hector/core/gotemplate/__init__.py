"""Templates in the words of Go's text/template: the part of it that turns data into text, and nothing else.

`parse(text)` gives a `Template`; `template.render(data, now)` its text. Data are JSON values: a name is looked up in an
object and never anywhere else, so no template reaches what it was not given. What a template may cost is bounded by how
deep and long it may be when it is parsed, and by the steps and the signs of each rendering.
"""

from hector.core.gotemplate.lexing import TemplateError
from hector.core.gotemplate.nodes import Body
from hector.core.gotemplate.parsing import body_of
from hector.core.gotemplate.rendering import render
from hector.core.record import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A template that was parsed; it may be rendered any number of times."""

    body: Body

    def render(self, data: object, now: float) -> str:
        """The text for some data; `now` in seconds since the epoch. Raises TemplateError: too much, no such number."""
        return render(self.body, data, now)


def parse(text: str) -> Template:
    """Read a template. Raises TemplateError with line and column."""
    return Template(body_of(text))


__all__ = ["Template", "TemplateError", "parse"]
