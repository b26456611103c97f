"""Calls that may hang, in threads that may be left behind."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class PatientThreads(ThreadPoolExecutor):
    """Runs each call in a thread of its own that does not hold up the end of the process.

    The event loop looks names up in its executor, and a look-up without a network hangs for half a minute; the
    usual executor would make the process wait for it. The event loop insists on this base class.
    """

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Start the call and return its future."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = call(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for the future
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name=getattr(call, "__name__", "call"), daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the calls to themselves."""
