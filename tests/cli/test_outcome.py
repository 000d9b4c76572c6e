"""How a command ends: stopped, with output that cannot be written, with hostile settings."""

from __future__ import annotations

import errno
import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from glp_export.cli.app import run
from glp_export.cli.console import at_work
from glp_export.cli.outcome import Terminated, exit_code_of

COMMAND = [sys.executable, "-m", "glp_export"]


def stopped(by: KeyboardInterrupt, output: Path | None = None) -> int:
    """The exit code of a command that is stopped while it works."""
    app = typer.Typer()

    @app.command()
    def command() -> None:
        with at_work(quiet=True, output=output):
            raise by

    return exit_code_of(lambda: app([], standalone_mode=False), [])


@pytest.mark.parametrize(("by", "code"), [(KeyboardInterrupt(), 130), (Terminated(), 143)])
def test_a_command_that_is_stopped_says_what_is_kept_and_how_to_go_on(by, code, tmp_path, capsys):
    assert stopped(by, tmp_path / "out") == code
    assert "nothing was kept" in capsys.readouterr().err
    (tmp_path / "out.partial").mkdir()
    assert stopped(by, tmp_path / "out") == code
    text = capsys.readouterr().err
    assert str(tmp_path / "out.partial") in text
    assert "--resume" in text
    assert stopped(by) == code
    assert capsys.readouterr().err.strip() in ("interrupted", "terminated")


def test_ctrl_c_outside_of_the_work_is_told_too(capsys):
    app = typer.Typer()

    @app.command()
    def command() -> None:
        raise KeyboardInterrupt

    assert exit_code_of(lambda: app([], standalone_mode=False), []) == 130
    assert "interrupted" in capsys.readouterr().err


def test_without_arguments_the_help_is_all_there_is(capsys):
    assert run([]) == 2
    told = capsys.readouterr()
    assert "Usage:" in told.out
    assert not told.err


def test_letters_that_stdout_does_not_have_are_replaced():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*COMMAND, "env"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stdout
    assert "rror" not in done.stderr


def test_a_reader_that_goes_away_changes_nothing():
    with subprocess.Popen(
        [*COMMAND, "env", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        errors = process.stderr.read()
        assert process.wait() == 0
    assert errors == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_on_stdout_is_told_and_changes_nothing():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*COMMAND, "env", "--json"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 0
    assert "stdout cannot be written" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("asked", "streams", "code"),
    [
        ("--version", ">&-", 0),
        ("verify nowhere", "2>/dev/full", 7),
        ("verify nowhere", "2>&-", 7),
        ("--version", ">&- 2>&- <&-", 0),
    ],
)
def test_streams_that_are_closed_or_full_change_no_exit_code(asked, streams, code):
    line = f"{shlex.join(COMMAND)} {asked} {streams}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_sigterm_is_ctrl_c_for_a_process():
    program = (
        "import os, signal; from glp_export.cli.outcome import as_a_process, Terminated\n"
        "with as_a_process():\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        "    except Terminated: print('caught')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "caught\n", done.stderr
    assert signal.SIGTERM == 15


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_stop_that_is_swallowed_comes_again(name):
    program = (
        "import os, signal, time; from glp_export.cli import outcome\n"
        "outcome.RAISED_AGAIN = 0.1\n"
        # Else it stays ignored where whoever runs the tests ignores it, as nohup does.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "with outcome.as_a_process():\n"
        f"    try: os.kill(os.getpid(), signal.{name})\n"
        "    except KeyboardInterrupt: pass\n"
        "    try: time.sleep(60)\n"
        "    except KeyboardInterrupt: print('again')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "again\n", done.stderr


def test_a_stop_in_a_destructor_is_not_told_and_comes_again():
    program = (
        "import os, signal, time; from glp_export.cli import outcome\n"
        "outcome.RAISED_AGAIN = 0.1\n"
        "class Stopped:\n"
        "    def __del__(self): os.kill(os.getpid(), signal.SIGTERM)\n"
        "class Broken:\n"
        "    def __del__(self): raise ValueError('told')\n"
        "with outcome.as_a_process():\n"
        "    Stopped()\n"
        "    Broken()\n"
        "    try: time.sleep(60)\n"
        "    except KeyboardInterrupt: print('again')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "again\n", done.stderr
    assert "Terminated" not in done.stderr
    assert "ValueError: told" in done.stderr


def yaml_bomb() -> str:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, 9):
        aliases = ", ".join([f"*a{level - 1}"] * 10)
        levels.append(f"a{level}: &a{level} [{aliases}]")
    return "\n".join([*levels, "depths: *a8", "depth: *a8", "model: *a8"])


@pytest.mark.parametrize(
    "text",
    [
        "model: " + "[" * 5000 + "]" * 5000,
        "depth: " + "9" * 5000,
        "depth: 0x" + "f" * 5000,
        "seed: 99999999999999999999",
        "batch_sizes: [99999999999999999999]",
        "epochs: .inf",
        "epochs: .nan",
        "max_drop: .nan",
        "target_speedup: .inf",
        f"target_speedup: '{'9' * 5000}'",
        "data: &a {data: *a}",
        "compressors: &a {compressors: *a}",
        "compressors: 3",
        "? [1, 2]\n: 3",
        "depth: !!int ''",
        "depth: !!bool x",
        "depth: 2020-99-99",
        f"{'k' * 9000}: 1",
        f"task: {{{'k' * 9000}: 1}}",
        yaml_bomb(),
    ],
    ids=lambda text: text[:24],
)
def test_hostile_configurations_are_refused_in_few_words(text, tmp_path, capsys):
    file = tmp_path / "run.yaml"
    file.write_text(text)
    assert run(["prune-and-export", "-c", str(file), "-o", str(tmp_path / "out"), "-q"]) == 2
    error = capsys.readouterr().err
    assert "internal error" not in error
    assert len(error) < 4000
    assert max(map(len, error.splitlines())) < 700


@pytest.mark.parametrize(
    "flags",
    [
        ["--threads", "99999999"],
        ["--epochs", "inf"],
        ["--epochs", "nan"],
        ["--depth", "9" * 5000],
        ["--seed", "9" * 30],
    ],
)
def test_hostile_flags_are_refused_in_few_words(flags, tmp_path, capsys):
    assert run(["prune-and-export", *flags, "-o", str(tmp_path / "out"), "-q"]) == 2
    error = capsys.readouterr().err
    assert "internal error" not in error
    assert len(error) < 2500


def test_all_faults_of_a_file_are_told_at_once_in_its_words(tmp_path, capsys):
    file = tmp_path / "run.yaml"
    file.write_text("depth: six\nepoch: 1\ntraining: {batch-size: 0}\noptimize: O9\n")
    assert run(["prune-and-export", "-c", str(file), "--seed", "-1", "-q"]) == 2
    error = capsys.readouterr().err
    for word in ("depth: ", "six", "'epoch'; did you mean epochs?", "batch_size: ", "optimize: "):
        assert word in error
    assert "--depth" not in error
    assert "--seed: " in error
    assert str(file) in error


def test_nothing_to_resume_is_told(tmp_path, capsys):
    output = str(tmp_path / "out")
    for command in ("prune-and-export", "search"):
        assert run([command, "-o", output, "--resume", "-q"]) == 2
        assert "nothing to resume" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "model", "-o", ""],
        ["export", "model", "--output="],
        ["prune-and-export", "-m", "", "-o", "out"],
        ["gate", "artifact", "--budget", " "],
        ["verify", ""],
    ],
)
def test_an_empty_value_is_no_path(arguments, capsys):
    assert run(arguments) == 2
    error = capsys.readouterr().err
    assert "empty" in error
    assert "-" in error.partition("where:")[2] or "verify" in error


def test_the_root_of_a_file_system_is_no_output(classifier, capsys):
    assert run(["export", str(classifier), "-o", "/", "-q"]) == 8
    assert "mount point" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
@pytest.mark.parametrize("error", ["DataError('damaged')", "ValueError('damaged')"])
def test_an_error_that_a_stop_became_is_told_as_the_stop(name, code, error):
    program = (
        "import os, signal, sys; from glp_export.cli import outcome\n"
        "from glp_export.core.errors import DataError\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def work():\n"
        f"    try: os.kill(os.getpid(), signal.{name})\n"
        f"    except KeyboardInterrupt: raise {error}\n"
        "with outcome.as_a_process():\n"
        "    code = outcome.exit_code_of(work, [])\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.strip() in ("interrupted", "terminated")


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("where", ["Typer's own", "before it"])
def test_a_stop_before_the_work_begins_is_told(name, code, where):
    stop = f"os.kill(os.getpid(), signal.{name})"
    program = (
        "import os, signal, sys, typer; from glp_export.cli import outcome\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        f"def command() -> None: {stop}\n"
        f"work = {'lambda: app([], standalone_mode=False)' if where != 'before it' else 'stop'}\n"
        "with outcome.as_a_process():\n"
        "    code = outcome.exit_code_of(work, [])\n"
        "sys.exit(code)"
    ).replace("app = ", f"def stop(): {stop}\napp = ")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.strip() in ("interrupted", "terminated", "hung up")


def test_a_hang_up_that_nohup_ignores_stops_nothing():
    program = (
        "import os, signal; from glp_export.cli.outcome import as_a_process\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "with as_a_process(): os.kill(os.getpid(), signal.SIGHUP); print('on')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "on\n", done.stderr


@pytest.mark.parametrize("command", ["verify", "gate", "report", "benchmark"])
def test_a_name_that_no_file_can_have_is_a_usage_error(command, capsys):
    assert run([command, "a" * 5000]) == 2
    said = capsys.readouterr().err
    assert "longer" in said
    assert len(said) < 1000


def test_what_may_not_be_opened_is_no_internal_error(capsys):
    def command() -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "/secret/model")

    assert exit_code_of(command, ["--json"]) == 7
    told = capsys.readouterr()
    assert "/secret/model" in told.err
    assert json.loads(told.out)["error"]["exit_code"] == 7
