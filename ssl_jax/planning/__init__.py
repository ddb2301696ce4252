"""Plans of a run: the trainer's step, compiled ahead of time for devices that need not be there, and what it costs."""

from ssl_jax.planning.plan import plan_run

__all__ = ["plan_run"]
