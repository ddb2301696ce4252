"""Options: how a run is executed, and how tyro parses the options of any function, with one sentence about an invalid one."""

import contextlib
import functools
import io
import os
import re
import shlex
import shutil
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import tyro

from ssl_jax.errors import UsageError
from ssl_jax.kept_help import printed_by
from ssl_jax.ranges import check_ranges


@dataclass(frozen=True)
class Options:
    """The folder and the execution of a run. Of these options, only the first weights, the seed, the microbatches and steps
    that are skipped change what is learned.

    Attributes:
      run: folder of the run; runs/METHOD-RECIPE when not given.
      init: folder of a run, or safetensors file of an encoder, whose weights training starts from; see docs/weights.md.
      seed: seed of the initial weights, the order of the images, and the views.
      devices: number of devices to use; all when not given.
      shard_parameters: shard parameters and optimizer moments over the devices (FSDP) instead of replicating them.
      keys: how contrastive losses get the embeddings of other devices: gather copies all to each device, ring passes them
        from device to device, auto chooses by size.
      block_size: number of embeddings compared at once, to save memory; chosen by size when not given.
      loss_precision: precision of the products of embeddings in contrastive losses on accelerators: highest is float32; high is
        TF32 on NVIDIA GPUs and three products of bfloat16 on TPUs, and faster where batches are large.
      microbatches: number of parts in which a batch is encoded, to save memory; the loss is that of the whole batch, but
        batch norms use the statistics of a part.
      rematerialize: keep only matrix products and convolutions for the gradient, to save memory.
      skip_nonfinite: number of steps that may be skipped because their loss or gradient is infinite or NaN; such a step
        changes nothing. The run stops at the first one more.
      debug_nans: name the operation that first gives NaN; steps take longer.
      profile: number of steps whose trace is written to RUN/profile, after the first ten; for XProf, TensorBoard or Perfetto.
      resume: resume from the last checkpoint in the run's folder.
      workers: number of processes that decode images; 0 decodes in threads.
      log_every: steps between records of loss, speed and collapse gauges.
      log_to: wandb, mlflow or both: record metrics there, too, if installed; TensorBoard's events are always written.
      evaluate_every: steps between evaluations by online k-NN and linear probe, and checkpoints.
      save_minutes: minutes after which a checkpoint is written between evaluations, too; never when not given.
      keep: number of last checkpoints to keep, beside the best one.
      distributed: join the hosts of a TPU pod, Slurm or Kubernetes job, which JAX detects; elsewhere give the next three.
      coordinator: address of process 0, host:port.
      processes: number of processes of the run.
      process: index of this process, from 0.
    """

    run: Path | None = None
    init: Path | None = None
    seed: int = 0
    devices: int | None = None
    shard_parameters: bool = False
    keys: Literal["auto", "gather", "ring"] = "auto"
    block_size: int | None = None
    loss_precision: Literal["highest", "high"] = "highest"
    microbatches: int = 1
    rematerialize: bool = False
    skip_nonfinite: int = 0
    debug_nans: bool = False
    profile: int = 0
    resume: bool = True
    workers: int = 0
    log_every: int = 50
    log_to: tuple[Literal["wandb", "mlflow"], ...] = ()
    evaluate_every: int = 250
    save_minutes: float | None = None
    keep: int = 2
    distributed: bool = False
    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None

    def __post_init__(self) -> None:
        check_ranges(**vars(self))
        hosts = {name: vars(self)[name] for name in ("coordinator", "processes", "process")}
        if len({value is None for value in hosts.values()}) > 1:
            missing = " and ".join(f"--{name}" for name, value in hosts.items() if value is None)
            raise UsageError(
                f"coordinator, processes and process go together, and {missing} is not given: give all three, or none of them "
                "and --distributed on a TPU pod, Slurm or Kubernetes."
            )
        if self.coordinator is not None and not re.fullmatch(r"\S+:\d{1,5}", self.coordinator):
            raise UsageError(f"coordinator: got {self.coordinator!r}, expected host:port, such as 10.0.0.1:1234.")
        if self.process is not None and self.processes is not None and self.process >= self.processes:
            raise UsageError(
                f"process: got {self.process}, expected 0 to {self.processes - 1}, since there are {self.processes} processes."
            )


DEFAULTS = Options()


@dataclass(frozen=True)
class PlanOptions:
    """For what a run is planned. The other options are those of `pretrain`, where folders, intervals and hosts change no plan.

    Attributes:
      topology: TPUs to compile for, that need not be there: their generation and their grid, such as v5e:16x16 or v5p:4x4x4, or
        v5e:16x16x2slices for several slices; --devices of this machine when not given.
      examples: number of training examples, in place of the known one; the data are not read.
      largest: look for the largest batch that fits: estimate compiles a second batch, verify also the one that is found.
      effort: effort of the compiler, from -1 to 1. A run has 0; -1 takes a fraction of the time, for the same operations in
        somewhat more memory.
      output: file to write the plan to, NAME.json, beside the line on standard output.
    """

    topology: str | None = None
    examples: int | None = None
    largest: Literal["skip", "estimate", "verify"] = "estimate"
    effort: float = 0.0
    output: Path | None = None

    def __post_init__(self) -> None:
        check_ranges(**vars(self))


PLANNED = PlanOptions()


def parse(function: Callable[..., Any], words: list[str], *, prog: str) -> Any:
    """Calls `function` with the parsed arguments; its signature defines the options, its docstring the help."""
    empty = [option for option, word in zip(["", *words], words, strict=False) if not word.strip()]
    empty += [word for word in words if re.fullmatch(r"--[\w-]+=\s*", word)]
    if empty:
        raise UsageError(
            f"{empty[0].split('=')[0] or 'the first argument'}: the value is empty: give one, or leave the option out."
        )
    check_values(words, get_type_hints(function))
    output, config = io.StringIO(), (tyro.conf.OmitArgPrefixes,)
    read = functools.partial(tyro.cli, function, args=words, prog=prog, config=config)
    try:
        with contextlib.redirect_stderr(output):
            if {"-h", "--help"} & set(words):
                print(_wrapped(printed_by(read)), end="")
                raise SystemExit(0)
            with _columns("1000"):
                return read()
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(f"{_sentence(output.getvalue(), words, prog)} (all options: {prog} --help)") from None


def check_values(words: list[str], kinds: Mapping[str, Any]) -> None:
    """A `UsageError` where an option of any number of values has none: tyro treats it as absent.

    kinds: option -> type.
    """
    for word, following in zip(words, [*words[1:], "--"], strict=False):
        name = word[2:].replace("-", "_")
        if word.startswith("--") and following.startswith("--") and _takes_several(kinds.get(name)):
            raise UsageError(f"{word}: got no value, expected one or more: name them, or leave {word} out.")


def _takes_several(kind: Any) -> bool:
    return any(get_origin(part) is tuple and ... in get_args(part) for part in (kind, *get_args(kind)))


def _wrapped(text: str) -> str:
    """Help with the description of the command in lines that fit the terminal: tyro wraps the texts of options only."""
    width = shutil.get_terminal_size().columns
    paragraph = r"(?m)(?:^[^\s\u256d\u2502\u2570\x1b].*\n)+"  # Neither a frame nor, in a terminal, coloured.
    return re.sub(paragraph, lambda found: textwrap.fill(found[0], width) + "\n", text)


@contextlib.contextmanager
def _columns(width: str) -> Iterator[None]:
    """A terminal of this width: in a narrow one, tyro breaks the numbers in its messages."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = width
    try:
        yield
    finally:
        del os.environ["COLUMNS"]
        if before is not None:
            os.environ["COLUMNS"] = before


def _sentence(box: str, words: list[str], prog: str) -> str:
    """The gist of tyro's framed message: its first paragraph, and the most similar option where it names one."""
    lines = [line.strip("\u2502 ") for line in box.splitlines() if not line.startswith(("\u256d", "\u2570"))]
    paragraphs = re.split(r"\n[\u2500-]{4,}\n", "\n".join(lines))
    if "\u256d" not in box:  # Without Unicode, the frame's title is a paragraph of its own.
        paragraphs = paragraphs[1:]
    gist = re.sub(r"^Error parsing \w[\w-]*: ", "", " ".join(paragraphs[0].split()))
    gist = re.sub(
        r"^Error parsing (--[\w-]+): no type matching (.+?) could be instantiated from \[(.*?)\]\..*",
        functools.partial(_unfitting, between="," if prog.startswith("ssl-jax sweep") else " "),
        gist,
    )
    gist = re.sub(r"^Missing value for argument '(.+)'\. Expected 1 values\.", r"\1: got no value, expected one", gist)
    if gist.startswith("Missing from "):  # Without the help of what is missing, which is indented by four more spaces.
        names = re.findall(r"^[\u2502 ] {5}(\S.*?)[ \u2502]*$", box.partition("For full")[0], re.MULTILINE)
        gist = f"missing: {' and '.join(names)}"
    if second := _second_value(gist, words):
        return second
    near = re.search(r"(?:Perhaps you meant:|Arguments similar to \S+:)\s+(--[\w-]+)", "\n".join(paragraphs))
    return f"{gist}: did you mean {near[1]}?" if near else gist


def _unfitting(found: re.Match[str], *, between: str) -> str:
    """A value that fits none of several types: "--image-size: got 96 128 3, expected INT or INT INT"."""
    option, kinds, values = found.groups()
    words = re.findall(r"'(.*?)'(?:, |$)", values)  # '96 128' is one word, and 96 128 are two.
    got, expected = shlex.join(words) or "no value", re.sub("[{}]", "", kinds).replace("|", " or ")
    both = re.fullmatch(r"(\d+)[xX\xd7*, ]+(\d+)", words[0]) if len(words) == 1 and "INT INT" in expected else None
    remedy = f": write {option} {both[1]}{between}{both[2]}" if both else ""
    return f"{option}: got {got}, expected {expected}{remedy}"


def _second_value(gist: str, words: list[str]) -> str | None:
    """Of a word that follows the value of an option, as in `--data my photos`, which tyro calls an unknown option."""
    apart = [part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word])]
    for option, value, extra in zip(apart, apart[1:], apart[2:], strict=False):
        is_second = option.startswith("--") and not value.startswith("-") and not extra.startswith("-")
        if is_second and gist.startswith(f"Unrecognized options: {extra}"):
            return f"{option}: got a second value, {extra}, and takes one: leave it out; one with spaces needs quotes"
    return None
