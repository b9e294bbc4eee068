"""Where pieces are made: the same results everywhere, lost workers, and errors of the work itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from grokkit.engines import ENGINES, LostWorkers, check_engine, each
from grokkit.engines import _workers as _engines
from grokkit.scheme import InvalidInput, MissingExtra

pytest.importorskip("joblib")


def dying(folder: Path, *, always: bool = False):
    """Squares, but the process that gets piece 3 dies, once or always. A closure, so that workers get it by value."""
    mark = str(folder / "died")

    def square(piece: int) -> int:
        import os

        if piece == 3 and (always or not os.path.exists(mark)):  # noqa: PTH110
            with open(mark, "w"):  # noqa: PTH123
                pass
            os._exit(1)
        return piece * piece

    return square


def test_every_piece_once_whatever_the_engine():
    for engine, workers in (("threads", 1), ("threads", 3), ("joblib", 1), ("joblib", 2)):
        assert sorted(each(lambda piece: piece * piece, range(20), engine, workers)) == [i * i for i in range(20)]
    assert list(each(abs, [], "threads")) == []


def test_on_dask():
    pytest.importorskip("distributed")
    import subprocess
    import sys

    code = """
from grokkit.engines import each
if __name__ == "__main__":
    print(sorted(each(abs, [-3, 2, -1], "dask", 2)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[1, 2, 3]\n"), done.stderr


def test_what_a_dying_worker_took_is_done_again(tmp_path):
    assert sorted(each(dying(tmp_path), range(12), "joblib", 2)) == [i * i for i in range(12)]
    assert (tmp_path / "died").exists()


def test_a_sweep_whose_workers_always_die_gives_up(tmp_path, monkeypatch):
    monkeypatch.setattr(_engines, "ATTEMPTS", 2)
    with pytest.raises(LostWorkers, match="2 calls in a row"):
        list(each(dying(tmp_path, always=True), [3, 3], "joblib", 2))


@pytest.mark.parametrize(("engine", "workers"), [("threads", 1), ("threads", 2), ("joblib", 2)])
def test_errors_of_the_work_are_no_lost_workers(engine, workers):
    def wrong(piece: int) -> int:
        raise InvalidInput(f"piece {piece} is wrong")

    def broken(piece: int) -> float:
        return 1 / piece

    with pytest.raises(InvalidInput, match="piece 1 is wrong"):
        list(each(wrong, [1, 1], engine, workers))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(each(broken, [0, 0], engine, workers))


def test_linear_algebra_has_one_thread_in_threads():
    from threadpoolctl import threadpool_info

    def threads(piece: int) -> int:
        return max((each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"), default=1)

    assert set(each(threads, range(6), "threads", 3)) == {1}


def test_bad_engines_are_one_line(monkeypatch):
    with pytest.raises(InvalidInput, match="engine 'warp' is not understood; use one of joblib, threads, ray, dask"):
        check_engine("warp", 1)
    with pytest.raises(InvalidInput, match="workers is 0; at least 1 is needed"):
        check_engine("joblib", 0)
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("ray", "distributed") else found(name)
    )
    for name in ("ray", "dask"):
        assert name in ENGINES
        with pytest.raises(MissingExtra, match=rf"the engine {name} needs .*pip install 'grokkit\[{name}\]'"):
            check_engine(name, 1)


def test_ray_is_given_pieces_a_few_at_a_time(monkeypatch):
    """Ray's joblib backend hands nothing out before a call is over, so calls are short. Here threads play its part."""
    from contextlib import contextmanager

    import joblib

    @contextmanager
    def played(engine, workers):
        joblib.register_parallel_backend("ray", joblib._parallel_backends.ThreadingBackend)
        try:
            yield "ray"
        finally:
            del joblib.parallel.BACKENDS["ray"]

    monkeypatch.setattr(_engines, "_backend", played)
    monkeypatch.setattr(_engines, "check_engine", lambda name, workers: None)
    begun: list[int] = []

    def note(piece: int) -> int:
        begun.append(piece)
        return piece

    results = each(note, range(10), "ray", 2)
    first = next(results)
    assert len(begun) == _engines.AHEAD * 2
    assert sorted([first, *results]) == sorted(begun) == list(range(10))
