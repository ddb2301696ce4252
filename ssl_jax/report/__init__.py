"""Pictures of a run and the one self-contained page that shows them: `write_report(run)`."""

from ssl_jax.report.album import save_album
from ssl_jax.report.page import write_report
from ssl_jax.report.reading import save_pictures

__all__ = ["save_album", "save_pictures", "write_report"]
