"""The command line: `ssl-jax COMMAND ...`. `USAGE` lists the commands, and words.py has a function for each.

Progress and messages go to standard error; `pretrain`, `plan`, `evaluate`, `finetune`, `neighbors` and `import` end with one
line of JSON on standard output, `classify` prints one for each image. A mistake of the user's is one sentence and exit code
2; a run that cannot continue, and an error in code of one's own, is one sentence and exit code 1; a run that a signal
stopped, and that the same command resumes, is one sentence and exit code 75.
"""

import sys
from collections.abc import Sequence

from ssl_jax.cli import interrupts


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code; one that an interrupt stops ends its process, where this is its own.

    arguments: the words of the command; those of the process when None, which is then taken to be the command's own.
    """
    own = arguments is None
    if own:
        interrupts.end_at_once()
    from ssl_jax.cli.running import run  # noqa: PLC0415  These imports take most of the time in which nobody handled interrupts.

    return run(list(sys.argv[1:] if arguments is None else arguments), own_process=own)
