"""The sound of one clip: spectrograms on the device, and their random views.

Waveforms are `[N]`, int16 or float in [-1, 1]. A spectrogram is float32 `[F, S]`: F time steps of `hop` samples, S = window /
2 + 1 frequencies from 0 to half the sampling rate. Its values lie in [0, 1]: 1 is the loudest tone in the range of the
waveform, and 0 is `decibels` below that or less.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from ssl_jax.augment.chance import Range, between
from ssl_jax.errors import UsageError


def log_spectrogram(waveform: Array, *, window: int, hop: int, decibels: float = 80.0) -> Array:
    """Power of the short-time Fourier transform on a logarithmic scale, with a Hann window.

    The first and the last window extend beyond the ends, with silence. A sine of amplitude 1 at the frequency of a
    bin gives 1 in that bin; of amplitude 1/10, `1 - 20 / decibels`.

    Args:
      window: samples of a transform; even.
      hop: samples between time steps; F = N // hop.

    Returns:
      `[N // hop, window // 2 + 1]`.

    Raises:
      UsageError: the waveform is not `[N]` with N of at least `hop`, or the window is odd or shorter than `hop`.

    Example:
      >>> time = jnp.arange(1600) / 16000
      >>> print(log_spectrogram(jnp.sin(2 * jnp.pi * 1000 * time), window=256, hop=160).shape)
      (10, 129)
    """
    if waveform.ndim != 1 or not 1 <= hop <= len(waveform) or window % 2 or window < hop:
        raise UsageError(
            f"spectrogram: needs a waveform [N], a hop from 1 to N and an even window of at least the hop, got "
            f"{waveform.shape}, {hop=} and {window=}."
        )
    count, before = len(waveform) // hop, (window - hop) // 2
    padded = jnp.pad(_unit_range(waveform), (before, window))
    indices = hop * np.arange(count)[:, None] + np.arange(window)
    shape = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    spectrum = jnp.fft.rfft(padded[indices] * jnp.asarray(shape[None] * 2 / shape.sum(), jnp.float32))
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    loudness = 10 * jnp.log10(jnp.maximum(power, 10 ** (-decibels / 10)))
    return jnp.clip(1 + loudness / decibels, 0, 1)


def audio_view(*, window: int, hop: int, volume: Range = (0.9, 1.1)) -> Callable[[Array, Array], Array]:
    """`(rng, waveform [N]) -> [F, S, 1]`: the spectrogram at a random volume.

    Few other changes keep the agreement of video and audio.

    Example:
      >>> print(audio_view(window=256, hop=160)(jax.random.key(0), jnp.zeros(1600)).shape)
      (10, 129, 1)

    Source: Morgado et al. 2021, https://arxiv.org/abs/2004.12943, appendix on experimental setup: volume by up to 10 %.
    """

    def view(rng: Array, waveform: Array) -> Array:
        louder = _unit_range(waveform) * between(volume, jax.random.uniform(rng))
        return log_spectrogram(louder, window=window, hop=hop)[..., None]

    return view


def _unit_range(waveform: Array) -> Array:
    waveform = jnp.asarray(waveform)
    return waveform.astype(jnp.float32) / (32768 if waveform.dtype == jnp.int16 else 1)
