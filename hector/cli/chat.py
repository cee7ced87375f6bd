"""`hector chat`: talk to an agent, at a terminal or in a pipe."""

import argparse
import asyncio
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hector.auth.secrets import chance
from hector.cli.chat_ballot import HOW, Ballot
from hector.cli.chat_client import AgentInfo, Client, RemoteError
from hector.cli.chat_pieces import Asked, Ended, Reader
from hector.cli.chat_screen import OutputLost, Raw, Screen, View, standard_view, wants_colours
from hector.core.content import JsonObject
from hector.core.errors import HectorError, StartupError
from hector.net.errors import ConnectFailed

DEFAULT_URL: Final = "http://127.0.0.1:8080"
_COMMAND: Final = re.compile(r"/([a-z?]+)(?:\s+(.*))?\s*")
_CANCEL_SECONDS: Final = 5.0
_HELP: Final = """\
/agents        list the agents
/agent NAME    talk to another agent
/new           begin a new conversation
/quit          leave (so does Ctrl-D)
Ctrl-C stops the answer that is being given."""


def add_parser(commands: Any) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "chat",
        help="talk to an agent",
        description="Talk to an agent of a running server, or of a configuration run in this process. "
        "In a pipe, standard input is the message and standard output the answer: echo hi | hector chat",
        allow_abbrev=False,
    )
    parser.add_argument("-a", "--agent", metavar="NAME", help="whom to talk to (the first agent)")
    parser.add_argument("--url", metavar="URL", help=f"the server (HECTOR_URL; {DEFAULT_URL})")
    parser.add_argument("--token", metavar="TEXT", help="credential for the server, better given as HECTOR_TOKEN")
    parser.add_argument("-c", "--config", metavar="FILE", help="run this configuration in this process instead")
    parser.add_argument("--database", metavar="URL", help="with a configuration: where to keep conversations")
    parser.add_argument("--context", metavar="ID", default="", help="go on with a conversation")
    parser.add_argument("--task", metavar="ID", default="", help="answer a task that asked something")
    parser.add_argument("--json", action="store_true", help="print the updates as they come, one JSON object a line")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """0; 1 when the server cannot be reached or, in a pipe, there is no answer; 2 for wrong usage; 130 on Ctrl-C."""
    if None in (sys.stdin, sys.stdout):
        raise UsageError("standard input or standard output is closed")
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())
        client, agents, place = _find_server(arguments, runner, stack)
        stack.callback(lambda: runner.run(client.aclose()))
        talk = Talk(client, runner, _chosen(agents, arguments.agent), arguments)
        if sys.stdin.isatty() and sys.stdout.isatty() and not arguments.json:
            return _converse(talk, agents, place)
        return _ask_once(talk)


class UsageError(StartupError):
    """The arguments make no sense here."""


def _find_server(
    arguments: argparse.Namespace, runner: asyncio.Runner, stack: ExitStack
) -> tuple[Client, list[AgentInfo], str]:
    """A client, its agents, and words for where they live: the server that is named or running, else one in here."""
    if arguments.config and arguments.url:
        raise UsageError("give --url or --config, not both")
    url = arguments.url or os.environ.get("HECTOR_URL")
    if not arguments.config:
        token = arguments.token or os.environ.get("HECTOR_TOKEN", "")
        client = Client(url or DEFAULT_URL, connect_timeout=3.0, token=token)
        try:
            return client, runner.run(client.agents()), client.url
        except ConnectFailed as error:
            runner.run(client.aclose())
            if url:
                raise RemoteError(f"{error}; is the server running? start one with: hector serve") from None
    token = chance()
    path, inner = stack.enter_context(_in_process(arguments, token))
    client = Client(inner, token=token)
    return client, runner.run(client.agents()), f"{path}, in this process"


@contextmanager
def _in_process(arguments: argparse.Namespace, token: str) -> Iterator[tuple[Path, str]]:
    """Run the named or the default configuration. Raises RemoteError when there is none."""
    from hector.config.environment import Environment  # noqa: PLC0415 - only without a server
    from hector.config.load import load_config  # noqa: PLC0415
    from hector.config.startup import IN_MEMORY, config_path, merge  # noqa: PLC0415
    from hector.tools.catalog import Catalog  # noqa: PLC0415

    environment = Environment()
    path = config_path(arguments.config, environment)
    if path is None:
        raise RemoteError(
            f"no server answers at {DEFAULT_URL}, and there is no configuration here; start a server with "
            "`hector serve`, name one with --url, or a configuration with --config"
        )
    catalog = Catalog(arguments.registered_tools)
    loaded = load_config(path, environment, handlers=catalog)
    startup = merge(argparse.Namespace(database=arguments.database), environment, loaded.config, path)
    from hector.cli.chat_host import hosted  # noqa: PLC0415 - loads the web server

    with ExitStack() as stack:
        try:
            url = stack.enter_context(hosted(environment, catalog, loaded, startup, token))
        except StartupError as error:
            if arguments.database:
                raise
            print(f"hector: this conversation is not kept: {error}", file=sys.stderr)
            startup = replace(startup, database=IN_MEMORY)
            url = stack.enter_context(hosted(environment, catalog, loaded, startup, token))
        yield path, url


def _chosen(agents: Sequence[AgentInfo], wanted: str | None) -> str:
    """The agent to talk to. Raises UsageError when there is none of that name, or none at all."""
    names = [agent.id for agent in agents]
    if not names:
        raise UsageError("the server has no agents that may be seen")
    if wanted is None:
        return names[0]
    if wanted not in names:
        raise UsageError(f"there is no agent {wanted!r}; there are: {', '.join(names)}")
    return wanted


class Talk:
    """A conversation: whom with, in which context, and which task waits for an answer."""

    def __init__(self, client: Client, runner: asyncio.Runner, agent: str, arguments: argparse.Namespace) -> None:
        self.client = client
        self.agent = agent
        self.json: bool = arguments.json
        self._runner = runner
        self._context: str = arguments.context
        self.waiting: str = arguments.task
        """Id of the task that waits for the user's answer."""
        self.ballot: Ballot | None = None
        """What the user has to approve, where that is what the task waits for."""
        self.choices: tuple[str, ...] = ()
        """What is an answer to what is asked, if not everything is."""
        self.interrupted = False
        """The last answer was stopped by Ctrl-C."""

    def renew(self, agent: str | None = None) -> None:
        """Forget what was said."""
        self.agent = agent or self.agent
        self._context = self.waiting = ""
        self.ballot = None

    def say(self, text: str | Sequence[JsonObject], view: View) -> bool:
        """Send a message and show what comes back; whether it ended with an answer. Ctrl-C cancels the task."""
        view.begin()
        try:
            return self._runner.run(self._say(text, view))
        finally:
            view.end()

    async def _say(self, text: str | Sequence[JsonObject], view: View) -> bool:
        reader = Reader(self.waiting, self._context)
        self.interrupted = False
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(self._read(text, reader, view))
            try:
                await asyncio.wait({reading})
            except asyncio.CancelledError:  # Ctrl-C
                self._uncancel()
                self.interrupted = True
                await self._cancel(reader.task_id)
                await asyncio.wait({reading}, timeout=_CANCEL_SECONDS)
                reading.cancel()
        self._context = reader.context_id
        return not reading.cancelled() and reading.result()

    async def _read(self, text: str | Sequence[JsonObject], reader: Reader, view: View) -> bool:
        answered = False
        task_id, self.waiting, self.ballot = self.waiting, "", None
        try:
            async with aclosing(self.client.stream(self.agent, text, self._context, task_id)) as events:
                async for event in events:
                    if isinstance(view, Raw):
                        view.event(event)
                    for piece in reader.read(event):
                        view.show(piece)
                        if isinstance(piece, Asked):
                            self.waiting = reader.task_id
                            self.ballot = Ballot.of(piece.calls) if piece.calls else None
                            self.choices = piece.choices
                        answered = isinstance(piece, Ended) and piece.state == "COMPLETED"
            if not reader.over:
                view.complain("the server ended the answer before its end; the task may still be running")
        except HectorError as error:
            if not (isinstance(error, OutputLost) and error.quiet):
                view.complain(str(error))
            return False
        return answered

    async def _cancel(self, task_id: str) -> None:
        if task_id:
            with contextlib.suppress(HectorError):  # it may have ended by itself
                await self.client.cancel(self.agent, task_id)

    @staticmethod
    def _uncancel() -> None:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()


def _ask_once(talk: Talk) -> int:
    """Standard input is the message, standard output the answer."""
    view = standard_view()
    if talk.json:
        view = Raw(sys.stdout, sys.stderr)
    text = sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    if not text:
        raise UsageError("nothing to say: standard input is empty")
    answered = talk.say(text, view)
    if talk.interrupted:
        return 130
    if talk.waiting and not talk.json:
        view.complain(f"to answer, say it to the same agent with --task {talk.waiting}")
    return 0 if answered else 1


def _converse(talk: Talk, agents: Sequence[AgentInfo], place: str) -> int:
    """Ask, show, repeat."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    screen = Screen(sys.stdout, colours=wants_colours(sys.stdout))
    _edit_lines([agent.id for agent in agents])
    screen.say(f"{talk.agent} at {place}; /help shows the commands\n", "2")
    while True:
        try:
            line = input(screen.prompt(_label(talk))).strip()
        except EOFError:
            screen.say("", "")
            return 0
        except KeyboardInterrupt:
            screen.say("\n(Ctrl-D or /quit leaves)", "2")
            continue
        command = _COMMAND.fullmatch(line)
        if command is not None:
            if command[1] in {"quit", "exit", "q"}:
                return 0
            _obey(command[1], (command[2] or "").strip(), talk, agents, screen)
        elif line and talk.ballot is not None:
            _vote(talk, talk.ballot, line, screen)
        elif line:
            talk.say(line, screen)


def _label(talk: Talk) -> str:
    if talk.ballot is not None:
        return talk.ballot.question()
    return " or ".join(talk.choices) or "your answer" if talk.waiting else talk.agent


def _vote(talk: Talk, ballot: Ballot, line: str, screen: Screen) -> None:
    """Take a decision; once there is one for each call, they go out together."""
    if not ballot.take(line):
        screen.complain(HOW)
    elif not ballot.left:
        talk.say(ballot.parts, screen)


def _obey(command: str, argument: str, talk: Talk, agents: Sequence[AgentInfo], screen: Screen) -> None:
    match command:
        case "agents":
            for agent in agents:
                mark = "*" if agent.id == talk.agent else " "
                screen.say(f"{mark} {agent.id:<16} {agent.description}")
        case "agent":
            try:
                talk.renew(_chosen(agents, argument or talk.agent))
                screen.say(f"talking to {talk.agent} now, in a new conversation", "2")
            except UsageError as error:
                screen.complain(str(error))
        case "new":
            talk.renew()
            screen.say("a new conversation", "2")
        case "help" | "?":
            screen.say(_HELP)
        case _:
            screen.complain(f"there is no command /{command}")
            screen.say(_HELP, "2")


def _edit_lines(agents: Sequence[str]) -> None:
    """History, and Tab for commands and agents, where there is a line editor."""
    try:
        import readline  # noqa: PLC0415 - not part of every Python
    except ImportError:
        return
    words = ["/agents", "/new", "/quit", "/help", *(f"/agent {name}" for name in agents)]

    def complete(text: str, state: int) -> str | None:
        return next(iter([word for word in words if word.startswith(text)][state:]), None)

    readline.set_completer(complete)
    readline.set_completer_delims("")
    readline.parse_and_bind("tab: complete")
