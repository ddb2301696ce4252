"""Self-supervised learning in JAX: a step of every method is `views -> encode -> objective -> update`."""

__version__ = "0.1.0"
