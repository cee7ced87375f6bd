"""One document in, its text out: the whole of extraction, as it runs in a process of its own."""

from typing import Final

from hector.core.retrieval import Content, Extracted
from hector.rag.errors import Unreadable
from hector.rag.extract import formats
from hector.rag.extract.limits import Limits
from hector.rag.extract.writer import Full, Writer

_USUAL: Final = Limits()


def read(content: Content, limits: Limits = _USUAL) -> Extracted:
    """The text of a document with its places. Raises Unreadable with the reason, whatever is wrong with it."""
    item = content.item
    writer = Writer(limits)
    if not content.data:
        writer.note("it is empty")
        return writer.finish(_name(item.name))
    try:
        kind = formats.told(item, content.data)
        writer.tell(format=kind)
        formats.reader(kind)(content.data, formats.ending(item.name), writer)
    except (Unreadable, Full) as error:
        if isinstance(error, Unreadable):
            raise
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except MemoryError:
        raise Unreadable("it takes too much memory to be read") from None
    except Exception as error:  # noqa: BLE001 - whatever a stranger's document does to a parser
        raise Unreadable(f"it is damaged ({type(error).__name__}: {error})"[:300]) from None
    return writer.finish(_name(item.name))


def _name(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]
