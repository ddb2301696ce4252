"""The commands of ssl-jax as functions: what `ssl_jax/cli` calls after it has read the command line."""

from ssl_jax.commands.arguments import read_options, repeat
from ssl_jax.commands.choosing import chosen_recipe
from ssl_jax.commands.classifying import classify
from ssl_jax.commands.comparing import compare
from ssl_jax.commands.embedding import embed
from ssl_jax.commands.evaluation import evaluate, transfer
from ssl_jax.commands.examination import doctor
from ssl_jax.commands.exporting import export
from ssl_jax.commands.fine_tuning import finetune
from ssl_jax.commands.grid import make_sweep
from ssl_jax.commands.importing import import_weights
from ssl_jax.commands.neighboring import neighbors
from ssl_jax.commands.planning import plan, planned_again
from ssl_jax.commands.pretraining import pretrain
from ssl_jax.commands.sweep_scripts import sweep_script
from ssl_jax.commands.sweeping import run_sweep
from ssl_jax.options import Options

__all__ = [
    "Options",
    "chosen_recipe",
    "classify",
    "compare",
    "doctor",
    "embed",
    "evaluate",
    "export",
    "finetune",
    "import_weights",
    "make_sweep",
    "neighbors",
    "plan",
    "planned_again",
    "pretrain",
    "read_options",
    "repeat",
    "run_sweep",
    "sweep_script",
    "transfer",
]
