"""State on disk: the only package with SQL."""

from hector.store.opening import Store, open_store
from hector.store.sessions import Session, SessionPage, SessionSummary
from hector.store.tasks import Accept, Accepted, Record

__all__ = [
    "Accept",
    "Accepted",
    "Record",
    "Session",
    "SessionPage",
    "SessionSummary",
    "Store",
    "open_store",
]
