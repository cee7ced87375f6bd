"""State on disk: the only package with SQL."""

from hector.store.opening import Store, open_store
from hector.store.records import Accept, Accepted, Record
from hector.store.sessions import Session, SessionPage, SessionSummary

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
