"""Kind `tcp`: a script of lines and bytes, on a connection of its own or on one that is kept."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.model.operation import Answer, AnswerKind, Unmet
from chaos.model.plain import PlainOperation, TcpScript, TcpStep
from chaos.model.template import find_placeholders, parse_template, unescape
from chaos.workloads.answers import excerpt
from chaos.workloads.call import Call, Outcome
from chaos.workloads.operations.doors import Doors, Runner
from chaos.workloads.patterns import Look, first_status, look_in_line, regex_of
from chaos.workloads.sockets import Dialer, TooLongError, Wire, broken, unreachable
from chaos.workloads.templates import fill_parts

__all__ = ["compile_tcp"]

_BYTES = "hex:"


def compile_tcp(to: str, operation: PlainOperation, script: TcpScript) -> Runner:
    """The runner of a script. On a kept connection, what comes before the first `send` (a greeting) is done once."""
    steps = [_compile(one) for one in script.steps]
    sends = [at for at, one in enumerate(steps) if isinstance(one, _Send)]
    rest = steps[sends[0] :] if sends else steps
    judge = _Judge(operation, script)

    async def run(call: Call, doors: Doors) -> Outcome:
        dialer = doors.plain.dialers["tcp", to]
        wire = await _dial(dialer, keep=script.keep)
        if not isinstance(wire, Wire):
            call.ended()
            return Outcome(answer=wire)
        whole = False
        try:
            outcome = await judge.play(call, wire, steps if wire.fresh else rest)
            whole = not outcome.unmet and outcome.answer.kind is AnswerKind.OK
        except (EOFError, OSError, TooLongError) as error:
            outcome = Outcome(answer=broken(error))
        finally:
            if whole and script.keep:
                dialer.keep(wire)
            else:
                wire.close()  # nobody knows what else is on its way
        call.ended()
        return outcome

    return run


async def _dial(dialer: Dialer, *, keep: bool) -> Wire | Answer:
    try:
        return await (dialer.dial() if keep else dialer.dial_new())
    except OSError as error:
        return unreachable(error)


@dataclass(frozen=True, slots=True)
class _Send:
    """Bytes to send."""

    data: Callable[[Call], bytes]


@dataclass(frozen=True, slots=True)
class _Bytes:
    """Bytes that must come next."""

    wanted: bytes


@dataclass(frozen=True, slots=True)
class _Lines:
    """The line that must come next, or (`skip`) after others: how it is written in the scenario, and whether a line is it."""

    look: Callable[[Call], tuple[str, Look]]
    skip: bool


_Step = _Send | _Bytes | _Lines


def _compile(step: TcpStep) -> _Step:
    if step.text.startswith(_BYTES):
        data = bytes.fromhex(step.text.removeprefix(_BYTES))
        return _Send(lambda _call: data) if step.act == "send" else _Bytes(data)
    if step.act == "send":
        text = fill_parts(parse_template(unescape(step.text)))
        return _Send(lambda call: text(call).encode())
    return _Lines(_looker(step.text), skip=step.act == "until")


def _looker(text: str) -> Callable[[Call], tuple[str, Look]]:
    """A look for each operation, made once if it is the same for all of them."""
    regex = regex_of(text)
    parts = parse_template(unescape(text)) if regex is None else find_placeholders(regex)
    fill = fill_parts(parts, str if regex is None else re.escape)
    slash = "" if regex is None else "/"

    def make(call: Call) -> tuple[str, Look]:
        wanted = f"{slash}{fill(call)}{slash}"
        return wanted, look_in_line(wanted)

    if all(isinstance(one, str) for one in parts):
        wanted = f"{slash}{''.join(map(str, parts))}{slash}"
        constant = wanted, look_in_line(wanted)
        return lambda _call: constant
    return make


class _Judge:
    """Plays steps on a connection and says what they came to."""

    def __init__(self, operation: PlainOperation, script: TcpScript) -> None:
        self._status = first_status(script.errors, look_in_line)
        self._marks: Look = (lambda _line: False) if operation.degraded is None else look_in_line(operation.degraded)

    async def play(self, call: Call, wire: Wire, steps: Sequence[_Step]) -> Outcome:
        """Do the steps in order until one does not come as expected. Raises what Wire raises."""
        degraded = False
        for step in steps:
            match step:
                case _Send():
                    wire.send(step.data(call))
                case _Bytes():
                    seen = await wire.read_as_far_as(step.wanted)
                    call.received()
                    if seen != step.wanted:
                        return self._other(step.wanted.hex(" "), seen.hex(" "), seen.decode("latin-1"))
                case _Lines():
                    wanted, look = step.look(call)
                    line = ""
                    while not look(line := await _line(call, wire)):
                        if not step.skip or self._ends(line):
                            return self._other(wanted, line, line)
                    degraded = degraded or self._marks(line)
        return Outcome(answer=Answer(kind=AnswerKind.OK, degraded=degraded))

    def _ends(self, line: str) -> bool:
        """Whether a line that may be skipped is an answer all the same."""
        return self._status(line) is not None or self._marks(line)

    def _other(self, wanted: str, seen: str, text: str) -> Outcome:
        """What came is an error, a degraded answer, or wrong."""
        status = self._status(text)
        if status is not None:
            return Outcome(answer=Answer(kind=AnswerKind.ERROR, status=status, detail=excerpt(text) or None))
        if self._marks(text):
            return Outcome(answer=Answer(kind=AnswerKind.OK, degraded=True))
        unmet = Unmet(check="reply", expected=excerpt(wanted), seen=excerpt(seen) or "an empty line")
        return Outcome(answer=Answer(kind=AnswerKind.OK), unmet=(unmet,))


async def _line(call: Call, wire: Wire) -> str:
    line = await wire.read_line()
    call.received()
    return line.decode("utf-8", "replace")
