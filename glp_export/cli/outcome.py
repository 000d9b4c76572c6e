"""How a command ends: its exit code, what is said of an error, what cannot be written."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, TextIO

from rich.console import Console

from glp_export.core.errors import DataError, GlpError, UsageError, quoted

INTERNAL_ERROR, USAGE_ERROR = 1, 2
BY_TYPER = 128 + signal.SIGINT
"""What Typer makes of Ctrl-C outside of a command's work."""
RAISED_AGAIN = 3.0
"""Seconds after which a stop that nobody took is raised again."""
AFTER_RESULT = "the result was printed before"
"""Note of an error that follows it."""
_OF_NAMES = (errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
"""What the operating system says of paths that were given."""
LONGEST_MESSAGE = 2000
"""Letters of a message that is not ours; what is longer is cut in the middle."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: it stops a command as Ctrl-C does."""


class HungUp(Terminated):
    """SIGHUP: the terminal or the connection went away."""


_HANGUP: int | None = getattr(signal, "SIGHUP", None)
"""Windows has none."""
_STOPS: dict[int | None, type[KeyboardInterrupt]] = {signal.SIGTERM: Terminated, _HANGUP: HungUp}
_last_stop: list[type[KeyboardInterrupt]] = []
"""What stopped this process: Typer makes one code of all of them."""


class StoppedError(Exception):
    """A command that was stopped, as Typer leaves it alone: it ends Ctrl-C without a word.

    Args:
        by: Ctrl-C, SIGTERM or SIGHUP.
        kept: what is left of its work, in words.
    """

    def __init__(self, by: KeyboardInterrupt, kept: str = "") -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        name, number = "interrupted", int(signal.SIGINT)
        if isinstance(by, HungUp) and _HANGUP is not None:
            name, number = "hung up", _HANGUP
        elif isinstance(by, Terminated):
            name, number = "terminated", signal.SIGTERM
        super().__init__(f"{name}: {kept}" if kept else name)
        self.exit_code = 128 + number


def exit_code_of(command: Callable[[], Any], arguments: Sequence[str]) -> int:
    """Run a command, say what went wrong on stderr, and return its exit code."""
    stderr = Console(stderr=True, soft_wrap=True)
    _last_stop.clear()
    try:
        outcome = _stopping(command)
        return outcome if isinstance(outcome, int) else 0
    except StoppedError as stopped:
        stderr.print(str(stopped), markup=False, highlight=False)
        _as_json(stopped, _plain_error("Stopped", str(stopped), stopped.exit_code), arguments)
        return stopped.exit_code
    except GlpError as error:
        _as_json(error, error.as_dict(), arguments)
        return _fail(stderr, error, error.exit_code, arguments)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):
            message = shortened(error.format_message())
            if not message:  # without arguments: the help is printed already
                return USAGE_ERROR
            stderr.print("error:", style="red", end=" ")
            stderr.print(message, markup=False, highlight=False)
            _as_json(error, _plain_error("UsageError", message, USAGE_ERROR), arguments)
            return USAGE_ERROR
        if isinstance(error, OSError) and error.errno in _OF_NAMES:
            told = _told(error)
            _as_json(error, told.as_dict(), arguments)
            return _fail(stderr, told, told.exit_code, arguments)
        text = shortened(str(error) or type(error).__name__)
        _as_json(error, _plain_error(type(error).__name__, text, INTERNAL_ERROR), arguments)
        return _fail(stderr, error, INTERNAL_ERROR, arguments)


def _told(error: OSError) -> GlpError:
    """A name that was given, and that no file of this system has, or that may not be opened."""
    where = quoted(str(error.filename))
    if error.errno == errno.ENAMETOOLONG:
        what, fix = "a name is longer than this system takes", "give a shorter path"
        return UsageError(what, where=where, fix=fix)
    what, fix = (
        "a file or directory may not be opened",
        "see to it that you may, or give another path",
    )
    return DataError(what, where=where, fix=fix)


def _stopping(command: Callable[[], Any]) -> Any:
    """What a command returns.

    Raises:
        StoppedError: it was stopped, before its work began too, where Typer says it by a code.
    """
    with told_as_stopped():
        outcome = command()
    if outcome == BY_TYPER:
        raise StoppedError(_last_stop[-1]() if _last_stop else KeyboardInterrupt())
    return outcome


@contextmanager
def told_as_stopped(kept: Callable[[], str] = str) -> Iterator[None]:
    """Work that ends by a stop, whatever error comes of the stop.

    Code in C that a signal's exception runs into makes an error of its own of it: of a file that is
    read, that its weights are damaged.

    Args:
        kept: tells what is left of the work.

    Raises:
        StoppedError: by Ctrl-C, SIGTERM or SIGHUP.
    """
    try:
        yield
    except KeyboardInterrupt as stopped:
        raise StoppedError(stopped, kept()) from None
    except StoppedError:
        raise
    except Exception:
        if not _last_stop:
            raise
        raise StoppedError(_last_stop[-1](), kept()) from None


@contextmanager
def after_result() -> Iterator[None]:
    """Mark an error that follows a printed result: one JSON document was printed already."""
    try:
        yield
    except Exception as error:
        error.add_note(AFTER_RESULT)
        raise


def _as_json(error: Exception, content: dict[str, Any], arguments: Sequence[str]) -> None:
    """Print an error on stdout, for whoever asked for JSON and has no document yet."""
    if "--json" in arguments and AFTER_RESULT not in getattr(error, "__notes__", ()):
        print(json.dumps({"error": content}, indent=2, default=str))


def _plain_error(name: str, what: str, code: int) -> dict[str, Any]:
    """What is no error of ours, with the fields of those that are."""
    return {"type": name, "what": what, "where": None, "fix": None, "exit_code": code}


def shortened(text: str, longest: int = LONGEST_MESSAGE) -> str:
    """A text without its middle where it is too long."""
    half = longest // 2
    return text if len(text) <= longest else f"{text[:half]} … {text[-half:]}"


def _fail(stderr: Console, error: Exception, code: int, arguments: Sequence[str]) -> int:
    """Say what is wrong; the traceback only for those who ask."""
    if any(argument in ("-v", "-vv", "--verbose") for argument in arguments):
        stderr.print_exception()
    name = "internal error" if code == INTERNAL_ERROR else "error"
    text = str(error) or type(error).__name__
    stderr.print(f"{name}:", style="red", end=" ")
    stderr.print(shortened(text), markup=False, highlight=False)
    if code == INTERNAL_ERROR:
        stderr.print("  do:    run again with -v and report the traceback", highlight=False)
    return code


@contextmanager
def as_a_process() -> Iterator[None]:
    """What the whole process needs: signals that stop it, output that never changes the verdict.

    Letters that stdout or stderr cannot encode are replaced. A reader that goes away (`| head`)
    and a full disk end the output and not the command.
    """
    signal.signal(signal.SIGTERM, _stop)
    if _HANGUP is not None and signal.getsignal(_HANGUP) is signal.SIG_DFL:  # nohup ignores it
        signal.signal(_HANGUP, _stop)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # nohup and & ignore it
        signal.signal(signal.SIGINT, _stop)
    own, told = (sys.stdout, sys.stderr), sys.unraisablehook
    sys.stdout, sys.stderr = (_Tolerant(_reconfigured(stream)) for stream in own)
    sys.unraisablehook = _unless_stopped(told)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = told
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = own


def _reconfigured(stream: TextIO | None) -> TextIO:
    """A stream that replaces letters; one that was closed before the start (`>&-`) loses all."""
    if stream is None:
        return open(os.devnull, "w", encoding="utf-8")
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure:
        reconfigure(errors="replace")
    return stream


def _stop(number: int, frame: FrameType | None) -> None:
    """Stop, and again while nobody does: a callback of a library may swallow it where it comes."""
    stopped = _STOPS.get(number, KeyboardInterrupt)
    _last_stop.append(stopped)

    def again(alarm: int, frame: FrameType | None) -> None:
        _stop(number, frame)

    signal.signal(signal.SIGALRM, again)
    signal.setitimer(signal.ITIMER_REAL, RAISED_AGAIN)
    raise stopped


def _unless_stopped(
    tell: Callable[[sys.UnraisableHookArgs], Any],
) -> Callable[[sys.UnraisableHookArgs], None]:
    """Tell what a destructor could not raise, but not of a stop, which comes again."""

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        if not (_last_stop and issubclass(unraisable.exc_type, KeyboardInterrupt)):
            tell(unraisable)

    return hook


class _Tolerant:
    """A stream that loses what cannot be written; says so once where nobody would notice.

    The stream below is pointed at nothing then: Python flushes it again at exit.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, as far as that is possible."""
        with self._losing():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand over what is buffered, as far as that is possible."""
        with self._losing():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno != errno.EPIPE and self is sys.stdout:
                print(f"stdout cannot be written: {error.strerror}", file=sys.stderr)
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
            with suppress(OSError):
                self._stream.flush()
