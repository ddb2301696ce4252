"""Refuses the network, unpickling and programs other than git while a test runs: Python tells a hook of each."""

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

NETWORK = (
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "socket.bind",
    "urllib.Request",
)
PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn")
# tensorboardX hands its events to its own thread through a queue.
OWN_QUEUE = {("tensorboardX.proto.event_pb2", "Event"), ("builtins", "object")}
watching: list[list[str]] = []  # Where what happens is noted, while it is: a hook of Python cannot be removed.


def watch(event: str, arguments: tuple) -> None:
    if not watching:
        return
    network = event in NETWORK and not (event == "socket.connect" and isinstance(arguments[1], str))  # A local socket.
    unpickled = event == "pickle.find_class" and tuple(arguments) not in OWN_QUEUE
    program = event == "subprocess.Popen" and (os.path.basename(arguments[0]) != "git" or arguments[2] is not None)
    if network or unpickled or program or event in PROGRAMS:
        watching[-1].append(f"{event} {arguments}")
        raise PermissionError(watching[-1][-1])


@functools.cache
def add_hook() -> None:
    sys.addaudithook(watch)


@contextmanager
def watched() -> Iterator[list[str]]:
    """Refuses and notes connections, unpickled classes and started programs: Python tells of each."""
    add_hook()
    watching.append([])
    try:
        yield watching[-1]
    finally:
        watching.pop()
