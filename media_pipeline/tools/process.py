"""Runs programs: limited in memory, time and reach, stopped as a whole group, never outliving this process.

    run(argv)               wait for the end; output collected, or line by line
    with spawn(argv) as c   stream: c.read(n), c.write(data), c.close_stdin()
    kill_all()              end everything that this process has running, from any thread

Each child is the leader of its own process group and gets, before its program starts: SIGKILL on the death of the
thread that started it (prctl(2), PR_SET_PDEATHSIG), limits of memory, CPU, file size and core dumps (setrlimit(2)), no
network where unshare(1) is allowed, and an environment without this process's secrets. A chain of small programs sets
this up, rather than ``preexec_fn``: Python may deadlock in the child of a process that has threads.

``check`` is called at least every 0.2 s in the calling thread; what it raises ends the group (SIGTERM, and SIGKILL
within a second) and comes out. So does running past the wall-clock limit, as ToolTimedOut.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import re
import resource
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from media_pipeline.errors import ToolFailed, ToolTimedOut
from media_pipeline.providers.base import Check, no_check

PR_SET_PDEATHSIG = 1
POLL_SECONDS = 0.1
GRACE_SECONDS = 0.7
"""Between SIGTERM and SIGKILL."""
READ_BYTES = 1 << 18
STDERR_TAIL_BYTES = 16_384
MESSAGE_LINES = 6
SPEAKS_OF_MEDIA = frozenset({"ffmpeg", "ffprobe"})
log = logging.getLogger(__name__)

_PASSED_ON = re.compile(r"PATH|HOME|USER|TZ|TMPDIR|LANG|LANGUAGE|LC_.*|XDG_.*|LD_LIBRARY_PATH|OMP_NUM_THREADS")
_LOCAL_FOLDER = re.compile(r"(?<![\w./])/(?:[^/\s'\":]+/)+")
_GUARD = '[ "$PPID" = "$1" ] || exit 125; ulimit -c 0; [ -z "$2" ] || ulimit -v "$2"; [ -z "$3" ] || ulimit -t "$3"; \
[ -z "$4" ] || ulimit -f "$4"; shift 4; exec "$@"'
"""Run by sh: ends at once when the parent died before PR_SET_PDEATHSIG was set."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a child may use. ``None`` is no limit.

    ``seconds``: wall clock; ``cpu_seconds``: of each process; ``memory``: address space in bytes; ``file_size``: bytes
    of each file it writes; ``output``: bytes of standard output that ``run`` collects; ``network``: whether it may
    reach any.
    """

    seconds: float | None = 600.0
    cpu_seconds: int | None = None
    memory: int | None = 2 << 30
    file_size: int | None = 64 << 30
    output: int = 64 << 20
    network: bool = False


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. ``stderr`` is its tail."""

    returncode: int
    stdout: bytes
    stderr: str


_live: set[int] = set()
_live_lock = threading.Lock()


def kill_all() -> int:
    """SIGKILL to every group that this module has running in this process; how many there were. Thread-safe."""
    with _live_lock:
        for group in _live:
            _signal(group, signal.SIGKILL)
        return len(_live)


def _forget_after_fork() -> None:
    global _live_lock  # noqa: PLW0603 - another thread may have held it at the fork
    _live_lock = threading.Lock()
    _live.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


def run(
    argv: Sequence[str],
    *,
    limits: Limits = Limits(),
    check: Check = no_check,
    cwd: Path | None = None,
    stdin: bytes | Path | None = None,
    on_line: Callable[[str], None] | None = None,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] = (0,),
) -> Completed:
    """Run a program to its end.

    ``on_line`` gets each line of standard output as it comes, which is then not collected. ``env`` is added to the few
    variables that are passed on. Raises ToolFailed with the last lines of standard error (without local folders) when
    the program is missing, ends with a code not in ``ok``, or writes more than ``limits.output``; ToolTimedOut; and
    what ``check`` or ``on_line`` raise.
    """
    data = memoryview(stdin) if isinstance(stdin, bytes) else None
    source = stdin if isinstance(stdin, Path) else None
    out = bytearray()
    with spawn(argv, limits=limits, check=check, cwd=cwd, stdin=source, feed=data is not None, env=env, ok=ok) as child:
        while not child.ended:
            fed = data is not None
            data = child.turn(wants_output=True, data=data)
            if fed and data is None:
                child.close_stdin()
            out += child.take()
            if on_line is not None:
                *lines, rest = bytes(out).split(b"\n")
                out = bytearray(rest)
                for line in lines:
                    on_line(line.decode("utf-8", "replace"))
            elif len(out) > limits.output:
                raise ToolFailed(f"{child.program} wrote more than {limits.output} bytes.")
    if on_line is not None and out:
        on_line(out.decode("utf-8", "replace"))
        out.clear()
    return Completed(child.returncode, bytes(out), child.stderr)


@contextlib.contextmanager
def spawn(
    argv: Sequence[str],
    *,
    limits: Limits = Limits(),
    check: Check = no_check,
    cwd: Path | None = None,
    stdin: Path | int | None = None,
    feed: bool = False,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] = (0,),
) -> Iterator[Child]:
    """Run a program while the block streams through it; at its end, wait for the program and judge it as ``run`` does.

    ``feed`` gives it a standard input for ``write``; else it reads ``stdin`` (a file or an open descriptor), or
    nothing. Output that the block left unread is thrown away. An exception in the block ends the group. The thread
    that opens the block must be the one that closes it.
    """
    child = Child(argv, limits=limits, check=check, cwd=cwd, stdin=stdin, feed=feed, env=env)
    try:
        yield child
        child.close_stdin()
        while not child.ended:
            child.turn(wants_output=True)
            child.take()
        child.reap()
        if child.returncode not in ok:
            check()
            raise ToolFailed(child.complaint())
    except BaseException:
        child.stop()
        raise
    finally:
        child.reap()
        _note(child, wanted=child.returncode in ok)


def _note(child: Child, *, wanted: bool) -> None:
    """A line for the log. The words of programs that handle text stay out of it: they may be the transcript."""
    words = child.last_words() if child.program in SPEAKS_OF_MEDIA else ""
    fields = {"program": child.program, "code": child.returncode, "duration_ms": child.milliseconds, "stderr": words}
    log.log(logging.DEBUG if wanted else logging.WARNING, "tool.ended", extra=fields)


class Child:
    """A running program. Made by ``spawn``; used by one thread."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        limits: Limits,
        check: Check,
        cwd: Path | None,
        stdin: Path | int | None,
        feed: bool,
        env: Mapping[str, str] | None,
    ) -> None:
        self.program = Path(argv[0]).name
        if shutil.which(argv[0]) is None:
            raise ToolFailed(f"{self.program} is not installed.", code="tool_missing")
        self._check = check
        self._limits = limits
        self._deadline = time.monotonic() + limits.seconds if limits.seconds is not None else float("inf")
        self._next_check = 0.0
        self._began = time.monotonic()
        self._buffer = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._exited_at: float | None = None
        with contextlib.ExitStack() as files:
            source: int = subprocess.DEVNULL
            if feed:
                source = subprocess.PIPE
            elif isinstance(stdin, Path):
                source = files.enter_context(stdin.open("rb")).fileno()
            elif stdin is not None:
                source = stdin
            with _live_lock:
                self._process = subprocess.Popen(
                    _guarded(argv, limits),
                    cwd=cwd,
                    stdin=source,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=_environment(env),
                    start_new_session=True,
                    bufsize=0,
                )
                _live.add(self._process.pid)
        pipes = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._stdin, self._stdout, self._stderr = (pipe.fileno() if pipe else -1 for pipe in pipes)
        for descriptor in (self._stdin, self._stdout, self._stderr):
            if descriptor >= 0:
                os.set_blocking(descriptor, False)
        self._pidfd = os.pidfd_open(self._process.pid) if hasattr(os, "pidfd_open") else -1

    @property
    def returncode(self) -> int:
        """How it ended; negative: the signal that ended it. -1000 while it runs."""
        code = self._process.returncode
        return -1000 if code is None else code

    @property
    def stderr(self) -> str:
        """The tail of standard error so far."""
        return b"".join(self._tail).decode("utf-8", "replace")[-STDERR_TAIL_BYTES:]

    @property
    def ended(self) -> bool:
        """Whether it has exited and all of its output was taken in."""
        if self._exited_at is None:
            return False
        # A grandchild in a session of its own may hold the pipes open: it is not waited for.
        return (self._stdout < 0 and self._stderr < 0) or time.monotonic() > self._exited_at + 1.0

    def read(self, size: int) -> bytes:
        """``size`` bytes of standard output; fewer only at its end."""
        while len(self._buffer) < size and self._stdout >= 0 and not self.ended:
            self.turn(wants_output=True)
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def write(self, data: bytes | memoryview) -> None:
        """Write all of it to standard input. Raises ToolFailed when the program no longer reads."""
        rest: memoryview | None = memoryview(data)
        while rest is not None and not self.ended:
            rest = self.turn(data=rest)
        if self._stdin < 0:
            raise ToolFailed(self.complaint())

    def close_stdin(self) -> None:
        """End of the program's input."""
        if self._stdin >= 0 and self._process.stdin is not None:
            self._process.stdin.close()
            self._stdin = -1

    def take(self) -> bytes:
        """What has been read and not yet taken."""
        taken = bytes(self._buffer)
        self._buffer.clear()
        return taken

    def turn(self, *, wants_output: bool = False, data: memoryview | None = None) -> memoryview | None:
        """Wait up to POLL_SECONDS for something to happen and deal with it; what is left of ``data`` comes back."""
        self._guard_time()
        poller = select.poll()
        if wants_output and self._stdout >= 0:
            poller.register(self._stdout, select.POLLIN)
        if self._stderr >= 0:
            poller.register(self._stderr, select.POLLIN)
        if data is not None and self._stdin >= 0:
            poller.register(self._stdin, select.POLLOUT)
        if self._pidfd >= 0 and self._exited_at is None:
            poller.register(self._pidfd, select.POLLIN)
        ready = {descriptor for descriptor, _ in poller.poll(POLL_SECONDS * 1000 if self._pidfd >= 0 else 20)}
        if self._stdout in ready:
            self._take_in_output()
        if self._stderr in ready:
            self._take_in_complaints()
        if data is not None:
            data = self._feed(data, ready=self._stdin in ready)
        if self._exited_at is None and _has_exited(self._process):
            # Before it is reaped the group's number is still its own: nothing else can be hit.
            _signal(self._process.pid, signal.SIGKILL)
            self._exited_at = time.monotonic()
        return data

    def stop(self) -> None:
        """SIGTERM to the group, then SIGKILL within a second. No error when it has ended."""
        if self._process.returncode is not None:
            return
        _signal(self._process.pid, signal.SIGTERM)
        until = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < until and not _has_exited(self._process):
            time.sleep(0.01)
        _signal(self._process.pid, signal.SIGKILL)

    def reap(self) -> None:
        """Wait for the exit and let go of everything. May be called again."""
        if self._process.returncode is None:
            with _live_lock:
                _live.discard(self._process.pid)
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._stdin = self._stdout = self._stderr = self._pidfd = -1

    def complaint(self) -> str:
        """What to say of its failure: how it ended and its last words, without local folders."""
        code = self._process.returncode
        how = "failed"
        if code is not None:
            how = f"ended with code {code}" if code >= 0 else f"was ended by {_signal_name(-code)}"
        words = self.last_words()
        return f"{self.program} {how}: {words}" if words else f"{self.program} {how}."

    def last_words(self) -> str:
        """The last lines of standard error, without local folders."""
        lines = [line.strip() for line in self.stderr.replace("\r", "\n").splitlines() if line.strip()]
        return without_folders("\n".join(lines[-MESSAGE_LINES:]))

    @property
    def milliseconds(self) -> int:
        """How long it has been running, or ran."""
        return round(((self._exited_at or time.monotonic()) - self._began) * 1000)

    def _guard_time(self) -> None:
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + POLL_SECONDS
            self._check()
        if now >= self._deadline:
            raise ToolTimedOut(f"{self.program} ran past its limit of {self._limits.seconds:g} s.")

    def _take_in_output(self) -> None:
        chunk = _read(self._stdout)
        if chunk is None:
            self._stdout = -1
        else:
            self._buffer += chunk

    def _take_in_complaints(self) -> None:
        chunk = _read(self._stderr)
        if chunk is None:
            self._stderr = -1
            return
        self._tail.append(chunk)
        self._tail_bytes += len(chunk)
        while self._tail_bytes - len(self._tail[0]) > STDERR_TAIL_BYTES:
            self._tail_bytes -= len(self._tail.popleft())

    def _feed(self, data: memoryview, *, ready: bool) -> memoryview | None:
        if not ready:
            return None if self._stdin < 0 else data
        try:
            data = data[os.write(self._stdin, data[:READ_BYTES]) :]
        except BlockingIOError:
            return data
        except BrokenPipeError:
            # Its exit code says whether leaving early is an error.
            self.close_stdin()
            return None
        if data:
            return data
        return None


def without_folders(text: str) -> str:
    """The text with absolute paths cut to their last part: messages must not show this machine's folders."""
    return _LOCAL_FOLDER.sub("", text)


def _read(descriptor: int) -> bytes | None:
    """What there is; None at the end."""
    try:
        return os.read(descriptor, READ_BYTES) or None
    except BlockingIOError:
        return b""


def _signal(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has exited; it stays unreaped where the system can tell without."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):
        return process.poll() is not None
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if _PASSED_ON.fullmatch(name)}
    return {**kept, **(more or {})}


def _guarded(argv: Sequence[str], limits: Limits) -> list[str]:
    sizes = (
        _allowed(resource.RLIMIT_AS, limits.memory, 1024),
        _allowed(resource.RLIMIT_CPU, limits.cpu_seconds, 1),
        _allowed(resource.RLIMIT_FSIZE, limits.file_size, 512),
    )
    isolated = () if limits.network else network_isolation()
    return [*isolated, *_death_signal(), "sh", "-c", _GUARD, "sh", str(os.getpid()), *sizes, *argv]


def _allowed(kind: int, wanted: int | None, unit: int) -> str:
    """The limit in the units of ulimit (POSIX: -f in 512 bytes), never above the hard one; "" for none."""
    if wanted is None:
        return ""
    hard = resource.getrlimit(kind)[1]
    return str(max(1, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)) // unit))


@cache
def network_isolation() -> tuple[str, ...]:
    """The start of a command line that takes away the network; empty where this machine does not allow it."""
    # Root keeps its own user namespace: in a new one it could no longer read other users' files.
    command = ("unshare", "-n", "--") if os.geteuid() == 0 else ("unshare", "-rn", "--")
    return command if _works((*command, "true")) else ()


@cache
def _death_signal() -> tuple[str, ...]:
    program = shutil.which("setpriv")
    command = (program or "setpriv", "--pdeathsig", "KILL", "--")
    return command if _works((*command, "true")) else ()


def _works(argv: Sequence[str]) -> bool:
    if shutil.which(argv[0]) is None:
        return False
    return subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=10).returncode == 0


def die_with_parent() -> None:
    """Ask the kernel to end this process when the one that started it ends (prctl(2), PR_SET_PDEATHSIG)."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def pdeathsig_prefix() -> tuple[str, ...]:
    """What to put before a program's arguments so that it ends with this process; empty where that cannot be had."""
    return _death_signal()
