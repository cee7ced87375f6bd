"""What `hector status` found, for programs: times in RFC 3339, lengths in seconds, sizes in bytes."""

from typing import TYPE_CHECKING, Any

from hector.core.clock import iso
from hector.version import __version__

if TYPE_CHECKING:
    from hector.cli.status_report import Report
    from hector.core.job import Instance
    from hector.store.figures import Figures, Stuck, Waiting


def facts(report: "Report") -> dict[str, Any]:
    """The whole report."""
    from hector.cli.dlq import facts as letter  # noqa: PLC0415

    found = report.figures
    return {
        "version": __version__,
        "time": iso(report.now),
        "database": _database(report),
        "processes": [_process(report, one) for one in report.instances],
        "off": [
            {"scope": one.scope, "reason": one.reason, "author": one.author, "at": iso(one.at)} for one in report.off
        ],
        "resting_apps": [
            {"id": one.id, "status": one.status.value, "since": iso(one.updated)} for one in report.resting
        ],
        "queue": _queue(report),
        "stuck": [_stuck(job) for job in found.stuck],
        "approvals": {"pending": found.approvals, "oldest": [_waiting(one) for one in found.waiting]},
        "dead_letters": [letter(job) for job in report.dead],
        "damage": report.damage or None,
        "audit": {"seq": report.head.seq, "hash": report.head.hash, "waiting": report.unchained},
        "egress_refused": [
            {"purpose": one.purpose, "host": one.host, "port": one.port, "times": one.refused, "why": one.refusal}
            for one in report.refused
        ],
        "document_stores": [
            {
                "id": one.store,
                "state": one.state,
                "percent": one.percent,
                "documents": one.documents,
                "failed": one.failed,
                "chunks": one.chunks,
                "pending": one.pending,
                "trouble": one.trouble,
            }
            for one in report.stores
        ],
        "stored": _stored(found),
        "retention": _retention(report),
    }


def _database(report: "Report") -> dict[str, Any]:
    found = report.figures
    return {
        "engine": report.database.split(",")[0],
        "schema": found.schema,
        "bytes": found.octets,
        "free_bytes": found.free,
        "growth": [{"days": one.days, "bytes": one.octets} for one in found.growth],
    }


def _process(report: "Report", one: "Instance") -> dict[str, Any]:
    return {
        "id": one.id,
        "host": one.host,
        "pid": one.pid,
        "version": one.version,
        "started": iso(one.started),
        "heartbeat": iso(one.seen),
        "alive": report.alive(one),
    }


def _queue(report: "Report") -> dict[str, Any]:
    jobs = report.jobs
    return {
        "pending": jobs.pending,
        "timers": jobs.timers,
        "processing": jobs.processing,
        "completed": jobs.completed,
        "failed": jobs.failed,
        "dead": jobs.dead,
        "canceled": jobs.canceled,
        "oldest_pending": None if jobs.oldest_pending is None else iso(jobs.oldest_pending),
        "oldest_pending_seconds": None if jobs.oldest_pending is None else report.now - jobs.oldest_pending,
        "mean_wait_seconds": jobs.mean_wait,
        "mean_run_seconds": jobs.mean_run,
    }


def _stuck(job: "Stuck") -> dict[str, Any]:
    return {
        "key": job.key,
        "kind": job.kind,
        "subject": job.subject,
        "attempts": job.attempts,
        "since": iso(job.since),
        "process": job.process,
        "abandoned": job.abandoned,
    }


def _waiting(one: "Waiting") -> dict[str, Any]:
    return {
        "key": one.key,
        "tool": one.tool,
        "task": one.task,
        "agent": one.agent,
        "since": iso(one.since),
        "expires": None if one.expires is None else iso(one.expires),
    }


def _stored(found: "Figures") -> dict[str, Any]:
    return {
        "sessions": found.sessions,
        "events": found.events,
        "tasks": found.tasks,
        "last_day": {"sessions": found.new_sessions, "tasks": found.new_tasks, "jobs_ended": found.ended},
    }


def _retention(report: "Report") -> dict[str, Any]:
    kept = report.settings
    return {
        "sessions_seconds": kept.sessions,
        "jobs_seconds": kept.jobs,
        "dead_letters_seconds": kept.dead_letters,
        "due": report.due.as_json(),
    }
