"""Ends a connection whose library knows no deadline: whoever waits on it then sees it closed."""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator

from nunchi.agent.clients.deadline import Deadline


@contextlib.contextmanager
def cut_off(descriptor: int, deadline: Deadline) -> Iterator[None]:
    """Shut a socket down if the block has not ended at the deadline. The socket itself stays its owner's to close."""
    with socket.socket(fileno=os.dup(descriptor)) as copy:

        def cut() -> None:
            with contextlib.suppress(OSError):  # it was closed meanwhile
                copy.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(deadline.remaining_seconds(), cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
