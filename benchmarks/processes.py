"""What is seen of running processes in /proc: memory, open files, threads, children."""

from pathlib import Path


def status(pid: int, name: str) -> int:
    """A number of `/proc/PID/status`, such as VmRSS and VmHWM (KiB) and Threads; 0 once the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def open_files(pid: int) -> int:
    """File descriptors, 0 once the process has ended."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def descendants(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    try:
        threads = list(Path(f"/proc/{pid}/task").glob("*/children"))
        children = [int(child) for thread in threads for child in thread.read_text().split()]
    except OSError:
        return []
    return [*children, *(grandchild for child in children for grandchild in descendants(child))]


def tenths(values: list[int]) -> list[int]:
    """The largest of the first and of the last tenth."""
    part = max(1, len(values) // 10)
    return [max(values[:part]), max(values[-part:])] if values else []
