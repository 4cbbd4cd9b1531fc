"""The crew: idle threads help, busy ones are not waited for, and nothing is lost."""

from __future__ import annotations

import threading

import pytest

from engine.crew import Crew


@pytest.mark.parametrize("size", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(size: int) -> None:
    crew = Crew(size)
    assert crew.map(str, range(1000)) == [str(number) for number in range(1000)]
    assert crew.map(str, []) == []


def test_as_many_items_are_under_way_as_there_are_threads() -> None:
    together = threading.Barrier(3, timeout=60)
    assert len(Crew(3).map(lambda _: together.wait(), range(3))) == 3


def test_a_busy_crew_is_not_waited_for() -> None:
    crew, begun, end = Crew(2), threading.Event(), threading.Event()

    def occupy() -> None:
        begun.set()
        assert end.wait(60)

    # The crew's one thread helps this caller, which itself has nothing to do but wait.
    other = threading.Thread(target=lambda: crew.share(lambda: begun.wait(60), occupy, helpers=1))
    other.start()
    assert begun.wait(60)
    here = threading.get_ident()
    assert set(crew.map(lambda _: threading.get_ident(), range(100))) == {here}
    assert other.is_alive()
    end.set()
    other.join()


def test_who_works_beside_as_many_callers_as_there_are_threads_asks_for_no_help(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    crew, helped, end = Crew(2), threading.Event(), threading.Event()
    other = threading.Thread(target=lambda: crew.share(lambda: end.wait(60), helped.set, helpers=1))
    other.start()
    assert helped.wait(60)  # the crew's thread is idle from here on, its core is not
    asked = list[object]()
    with monkeypatch.context() as patch:
        patch.setattr("engine.crew.ThreadPoolExecutor.submit", lambda *call: asked.append(call))
        assert crew.map(str, range(3)) == ["0", "1", "2"]
    assert not asked
    end.set()
    other.join()
    together = threading.Barrier(2, timeout=60)
    assert len(crew.map(lambda _: together.wait(), range(2))) == 2


def test_a_thread_that_helps_is_waited_for() -> None:
    begun, done = threading.Event(), list[str]()

    def help_out() -> None:
        begun.set()
        done.append("helped")

    Crew(2).share(lambda: begun.wait(60), help_out, helpers=1)
    assert done == ["helped"]


@pytest.mark.parametrize("bad", [0, 7])
def test_an_error_comes_out_once_no_thread_works_any_more(bad: int) -> None:
    under_way, together = set[int](), threading.Barrier(2, timeout=60)

    def work(number: int) -> None:
        under_way.add(number)
        if number < 2:
            together.wait()
        under_way.remove(number)
        if number == bad:
            raise ValueError(number)

    crew = Crew(2)
    with pytest.raises(ValueError, match=str(bad)):
        crew.map(work, range(8))
    assert not under_way
    assert crew.map(str, range(3)) == ["0", "1", "2"]
