"""Self-supervised learning in JAX: every method is one walk, `views -> encode -> objective -> update`."""

__version__ = "0.1.0"
