"""Named moments of a run at which a process may die: nothing here, but a proof can hang itself in.

Each name marks a boundary that recovery must get right: `store.accepted`, `job.claimed`, `model.before`,
`model.streaming`, `model.after`, `tool.intent`, `tool.effect`, `tool.result`, `run.written`, `run.replied`,
`migration.applying`, `approval.stored`, `step.ended`, `branches.ended`; `flat.written`, `flat.told`, `flat.forgotten`,
`flat.staged`, `flat.swapped`.
"""

from collections.abc import Callable


def _nothing(_name: str) -> None:
    pass


_hook: Callable[[str], None] = _nothing


def reach(name: str) -> None:
    """This moment has come."""
    _hook(name)


def watch(hook: Callable[[str], None]) -> None:
    """Have `hook` called at each of them from now on."""
    global _hook
    _hook = hook
