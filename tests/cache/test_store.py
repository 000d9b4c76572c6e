"""The cache: made once, whole or absent, shared by processes, pruned without harm."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from glp_export.cache.entry import key_of
from glp_export.cache.store import Cache, default_root
from glp_export.core.errors import OutputError

FACTS = {"model": "bert", "task": "rte", "epochs": 3.0}
SPAWN = multiprocessing.get_context("spawn")
PATIENCE = 60


def fill(directory: Path) -> None:
    (directory / "onnx").mkdir()
    (directory / "weights.bin").write_bytes(b"w" * 1000)
    (directory / "onnx" / "model.onnx").write_bytes(b"o" * 500)


def never(directory: Path) -> None:
    raise AssertionError("it was there")


def teacher(root: Path, name: str, size: int = 1000, days_ago: float = 0.0) -> Path:
    """An entry that nobody uses, last used so many days ago."""

    def make(directory: Path) -> None:
        (directory / "weights.bin").write_bytes(b"w" * size)

    path = Cache(root).get_or_make("teacher", {"model": name}, make)
    then = time.time() - days_ago * 86400
    os.utime(path / "entry.json", (then, then))
    return path


def names(entries: list) -> list[str]:
    return [entry.facts["model"] for entry in entries]


def hidden(root: Path) -> list[str]:
    return [path.name for path in (root / "teacher").glob(".*")]


# What other processes do.


def make_slowly(root: Path, log: Path, ready: object) -> None:
    def make(directory: Path) -> None:
        with log.open("a") as stream:
            stream.write(f"{os.getpid()}\n")
        fill(directory)
        time.sleep(0.3)

    ready.wait(PATIENCE)
    path = Cache(root).get_or_make("teacher", FACTS, make)
    assert (path / "onnx" / "model.onnx").stat().st_size == 500


def die_in_the_middle(root: Path) -> None:
    def make(directory: Path) -> None:
        (directory / "weights.bin").write_bytes(b"half")
        os._exit(9)

    Cache(root).get_or_make("teacher", FACTS, make)


def make_until_told(root: Path, making: object, go_on: object) -> None:
    def make(directory: Path) -> None:
        fill(directory)
        making.set()
        go_on.wait(PATIENCE)

    Cache(root).get_or_make("teacher", FACTS, make)


def use_until_told(root: Path, using: object, go_on: object) -> None:
    cache = Cache(root)
    assert cache.find("teacher", {"model": "a"})
    using.set()
    go_on.wait(PATIENCE)


def start(target: object, *arguments: object) -> multiprocessing.process.BaseProcess:
    process = SPAWN.Process(target=target, args=arguments)
    process.start()
    return process


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"GLP_EXPORT_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a"),
        ({"GLP_EXPORT_CACHE": "~/a"}, "/home/me/a"),
        ({"GLP_EXPORT_CACHE": "", "XDG_CACHE_HOME": "/b"}, "/b/glp-export"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/glp-export"),
        ({}, "/home/me/.cache/glp-export"),
    ],
)
def test_where_it_is(monkeypatch, variables, root):
    for name in ("GLP_EXPORT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert default_root() == Path(root)


def test_made_once_and_found_by_its_facts(tmp_path):
    path = Cache(tmp_path).get_or_make("teacher", FACTS, fill)
    again = Cache(tmp_path).get_or_make("teacher", dict(reversed(FACTS.items())), never)
    assert path == again == Cache(tmp_path).find("teacher", FACTS)
    assert path == tmp_path / "teacher" / key_of(FACTS)
    record = json.loads((path / "entry.json").read_text())
    assert record["facts"] == FACTS
    assert record["files"]["onnx/model.onnx"]["bytes"] == 500


def test_other_facts_and_other_kinds_are_other_entries(tmp_path):
    cache = Cache(tmp_path)
    made = {
        cache.get_or_make("teacher", FACTS, fill),
        cache.get_or_make("teacher", {**FACTS, "epochs": 2.0}, fill),
        cache.get_or_make("rival", FACTS, fill),
    }
    assert len(made) == 3


def test_looking_for_what_is_not_there_writes_nothing(tmp_path):
    root = tmp_path / "cache"
    assert Cache(root).find("teacher", FACTS) is None
    assert Cache(root).entries() == []
    assert Cache(root).prune(max_bytes=0) == []
    assert not root.exists()


@pytest.mark.parametrize("damage", ["changed", "missing", "record", "no record"])
def test_a_damaged_entry_is_made_anew(tmp_path, caplog, damage):
    path = Cache(tmp_path).get_or_make("teacher", FACTS, fill)
    if damage == "changed":
        (path / "onnx" / "model.onnx").write_bytes(b"x" * 500)
    elif damage == "missing":
        (path / "weights.bin").unlink()
    elif damage == "record":
        (path / "entry.json").write_text("{")
    else:
        (path / "entry.json").unlink()
    assert Cache(tmp_path).find("teacher", FACTS) is None
    with caplog.at_level(logging.WARNING, "glp_export"):
        assert Cache(tmp_path).get_or_make("teacher", FACTS, fill) == path
    assert "made anew" in caplog.text
    assert (path / "onnx" / "model.onnx").read_bytes() == b"o" * 500
    assert (path / "weights.bin").is_file()
    assert Cache(tmp_path).find("teacher", FACTS) == path


def in_the_way(place: Path, what: str, outside: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    if what == "a file":
        place.write_text("x")
    else:
        place.symlink_to({"a link": outside, "a loop": place}.get(what, outside / "nowhere"))


@pytest.mark.parametrize("what", ["a file", "a link", "a dangling link", "a loop"])
def test_what_stands_in_the_place_of_an_entry_goes_and_what_it_leads_to_stays(tmp_path, what):
    outside, root = tmp_path / "outside", tmp_path / "cache"
    outside.mkdir()
    (outside / "precious").write_text("x")
    cache = Cache(root)
    for made in (cache.get_or_make("teacher", {"a": 1}, fill), cache.open("candidates", {"a": 1})):
        in_the_way(made, what, outside)
    del cache
    again = Cache(root)
    assert (again.get_or_make("teacher", {"a": 1}, fill) / "weights.bin").is_file()
    (again.open("candidates", {"a": 1}) / "journal").write_text("x")
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert hidden(root) == []
    assert len(again.prune(max_bytes=0)) == 2
    assert (outside / "precious").is_file()


def test_links_among_what_killed_processes_left_are_cleaned_and_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    entry = Cache(tmp_path / "cache").get_or_make("teacher", {"a": 1}, fill)
    left = entry.parent / f".gone-{entry.name}-{'0' * 32}"
    left.symlink_to(outside)
    Cache(tmp_path / "cache").prune()
    assert outside.is_dir()
    assert not left.is_symlink()
    assert entry.is_dir()


def test_a_file_that_someone_adds_is_no_damage(tmp_path):
    path = Cache(tmp_path).get_or_make("teacher", FACTS, fill)
    (path / "notes.txt").write_text("mine")
    assert Cache(tmp_path).get_or_make("teacher", FACTS, never) == path


def test_a_failed_make_leaves_nothing(tmp_path):
    def fail(directory: Path) -> None:
        fill(directory)
        raise RuntimeError("diverged")

    cache = Cache(tmp_path)
    with pytest.raises(RuntimeError, match="diverged"):
        cache.get_or_make("teacher", FACTS, fail)
    assert cache.find("teacher", FACTS) is None
    assert list((tmp_path / "teacher").iterdir()) == []
    assert cache.get_or_make("teacher", FACTS, fill).is_dir()


def test_two_makers_of_one_entry_make_it_once(tmp_path):
    log, ready = tmp_path / "log", SPAWN.Event()
    makers = [start(make_slowly, tmp_path / "cache", log, ready) for _ in range(3)]
    ready.set()
    for maker in makers:
        maker.join(PATIENCE)
    assert [maker.exitcode for maker in makers] == [0, 0, 0]
    assert len(log.read_text().splitlines()) == 1


def test_after_a_killed_maker_the_next_one_makes_it(tmp_path):
    killed = start(die_in_the_middle, tmp_path)
    killed.join(PATIENCE)
    assert killed.exitcode == 9
    assert len(hidden(tmp_path)) == 1
    assert Cache(tmp_path).find("teacher", FACTS) is None
    path = Cache(tmp_path).get_or_make("teacher", FACTS, fill)
    assert (path / "weights.bin").stat().st_size == 1000
    assert hidden(tmp_path) == []


def test_prune_cleans_what_a_killed_maker_left(tmp_path):
    start(die_in_the_middle, tmp_path).join(PATIENCE)
    assert Cache(tmp_path).prune(older_than=timedelta(days=30), dry_run=True) == []
    assert len(hidden(tmp_path)) == 1
    assert Cache(tmp_path).prune(older_than=timedelta(days=30)) == []
    assert hidden(tmp_path) == []


def test_prune_leaves_a_running_maker_alone(tmp_path):
    making, go_on = SPAWN.Event(), SPAWN.Event()
    maker = start(make_until_told, tmp_path, making, go_on)
    assert making.wait(PATIENCE)
    assert Cache(tmp_path).find("teacher", FACTS) is None
    assert Cache(tmp_path).prune(max_bytes=0) == []
    assert len(hidden(tmp_path)) == 1
    go_on.set()
    maker.join(PATIENCE)
    assert maker.exitcode == 0
    assert Cache(tmp_path).find("teacher", FACTS)


def test_what_another_process_uses_is_not_pruned_until_it_ends(tmp_path):
    used, other = teacher(tmp_path, "a"), teacher(tmp_path, "b")
    using, go_on = SPAWN.Event(), SPAWN.Event()
    user = start(use_until_told, tmp_path, using, go_on)
    assert using.wait(PATIENCE)
    assert names(Cache(tmp_path).prune(max_bytes=0)) == ["b"]
    assert used.is_dir()
    assert not other.exists()
    go_on.set()
    user.join(PATIENCE)
    assert names(Cache(tmp_path).prune(max_bytes=0)) == ["a"]
    assert not used.exists()


def test_entries_least_recently_used_first(tmp_path):
    teacher(tmp_path, "new", days_ago=1)
    teacher(tmp_path, "old", size=2000, days_ago=9)
    (old, new) = Cache(tmp_path).entries()
    assert (old.facts, new.facts) == ({"model": "old"}, {"model": "new"})
    assert 2000 < old.bytes < 3000
    assert old.created > old.last_used
    Cache(tmp_path).find("teacher", {"model": "old"})
    assert names(Cache(tmp_path).entries()) == ["new", "old"]


def test_prune_by_age(tmp_path):
    for name, days in (("a", 40), ("b", 31), ("c", 1)):
        teacher(tmp_path, name, days_ago=days)
    month = timedelta(days=30)
    assert names(Cache(tmp_path).prune(older_than=month, dry_run=True)) == ["a", "b"]
    assert names(Cache(tmp_path).prune(older_than=month)) == ["a", "b"]
    assert names(Cache(tmp_path).entries()) == ["c"]


def test_prune_by_size_takes_the_least_recently_used_until_it_fits(tmp_path):
    for name, days in (("a", 3), ("b", 9), ("c", 6)):
        teacher(tmp_path, name, size=100_000, days_ago=days)
    assert Cache(tmp_path).prune(max_bytes=310_000) == []
    assert names(Cache(tmp_path).prune(max_bytes=210_000)) == ["b"]
    assert names(Cache(tmp_path).entries()) == ["c", "a"]


def test_prune_of_one_kind(tmp_path):
    teacher(tmp_path, "a")
    Cache(tmp_path).open("journal", {"model": "a"})
    assert [entry.kind for entry in Cache(tmp_path).prune(max_bytes=0, kinds=["journal"])] == [
        "journal"
    ]
    assert [entry.kind for entry in Cache(tmp_path).entries()] == ["teacher"]


def test_what_was_pruned_is_made_again(tmp_path):
    cache = Cache(tmp_path)
    path = cache.get_or_make("teacher", FACTS, fill)
    assert len(cache.prune(max_bytes=0)) == 1
    assert cache.find("teacher", FACTS) is None
    assert cache.get_or_make("teacher", FACTS, fill) == path


def test_foreign_files_are_left_alone(tmp_path):
    foreign = [
        tmp_path / "notes.txt",
        tmp_path / "photos" / "2019" / "a.jpg",
        tmp_path / "teacher" / "README",
        tmp_path / "teacher" / ("0" * 32) / "entry.json",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    teacher(tmp_path, "a")
    assert len(Cache(tmp_path).entries()) == 1
    assert len(Cache(tmp_path).prune(max_bytes=0)) == 1
    assert all(path.is_file() for path in foreign)


def test_an_entry_that_grows_keeps_what_is_added(tmp_path):
    path = Cache(tmp_path).open("journal", FACTS)
    (path / "journal.jsonl").write_text("one\n")
    assert Cache(tmp_path).open("journal", FACTS) == path
    assert Cache(tmp_path).find("journal", FACTS) == path
    with (path / "journal.jsonl").open("a") as stream:
        stream.write("two\n")
    (path / "entry.json").write_text("{")
    assert Cache(tmp_path).open("journal", FACTS) == path
    assert (path / "journal.jsonl").read_text() == "one\ntwo\n"


def test_a_root_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    for ask in (
        lambda cache: cache.get_or_make("teacher", FACTS, never),
        lambda cache: cache.open("journal", FACTS),
    ):
        with pytest.raises(OutputError, match="cannot be used") as caught:
            ask(Cache(tmp_path / "file" / "cache"))
        assert caught.value.exit_code == 8
        assert "--cache" in caught.value.fix
        assert "GLP_EXPORT_CACHE" in caught.value.fix


def test_a_full_disk_is_said_and_other_faults_of_a_maker_stay_their_own(tmp_path):
    def full(directory: Path) -> None:
        raise RuntimeError("I/O error: No space left on device (os error 28)")

    def unrelated(directory: Path) -> None:
        raise FileNotFoundError("data.csv")

    with pytest.raises(OutputError, match="No space left"):
        Cache(tmp_path).get_or_make("teacher", FACTS, full)
    with pytest.raises(FileNotFoundError, match=r"data\.csv"):
        Cache(tmp_path).get_or_make("teacher", FACTS, unrelated)
