"""Waiting for the threads that a product of another library leaves spinning."""

from __future__ import annotations

import hashlib
import threading

import pytest

from grokkit.execution._threads import wait_for_idle_threads


@pytest.fixture
def busy():
    """A thread that uses a processor, without the interpreter's lock, until it is told to stop; it ends by itself."""
    stop = threading.Event()

    def work() -> None:
        for _ in range(8):
            if not stop.is_set():
                hashlib.pbkdf2_hmac("sha256", b"word", b"salt", 200_000)

    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    stop.set()
    thread.join()


def test_it_waits_until_other_threads_rest(busy):
    wait_for_idle_threads(limit=600.0)
    assert not busy.is_alive()


def test_it_does_not_wait_for_ever(busy):
    wait_for_idle_threads(limit=0.02)
    assert busy.is_alive()
