"""Spectrograms against their definition in numpy, and known tones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ssl_jax.augment.audio import audio_view, log_spectrogram
from ssl_jax.errors import UsageError

TIME = np.arange(512) / 512


def tone(frequency, amplitude=1.0):
    return jnp.asarray(amplitude * np.sin(2 * np.pi * frequency * TIME), jnp.float32)


def definition(waveform, *, window, hop, decibels):
    """Moment by moment and frequency by frequency, in float64."""
    hann = np.sin(np.pi * np.arange(window) / window) ** 2
    padded = np.concatenate([np.zeros((window - hop) // 2), waveform, np.zeros(window)])
    rows = np.zeros((len(waveform) // hop, window // 2 + 1))
    for moment in range(len(rows)):
        piece = hann * padded[moment * hop :][:window]
        for frequency in range(rows.shape[1]):
            turns = np.exp(-2j * np.pi * frequency * np.arange(window) / window)
            power = abs((piece * turns).sum() / hann.sum() * 2) ** 2
            rows[moment, frequency] = 1 + 10 * np.log10(max(power, 1e-30)) / decibels
    return rows.clip(0, 1)


@pytest.mark.parametrize(("window", "hop"), [(16, 16), (32, 8), (10, 7)])
def test_it_is_the_definition(window, hop):
    waveform = np.random.default_rng(0).normal(scale=0.2, size=100).astype(np.float32)
    came = jax.jit(log_spectrogram, static_argnames=("window", "hop"))(waveform, window=window, hop=hop)
    np.testing.assert_allclose(came, definition(waveform, window=window, hop=hop, decibels=80), atol=1e-4)


def test_a_tone_shows_at_its_frequency_as_loud_as_it_is():
    loud, soft = (log_spectrogram(tone(64, amplitude), window=64, hop=32) for amplitude in (1, 0.1))
    assert loud.shape == (16, 33) and (loud[1:-1].argmax(axis=1) == 8).all()
    np.testing.assert_allclose(loud[2:-2, 8], 1, atol=1e-4)
    np.testing.assert_allclose(soft[2:-2, 8], 1 - 20 / 80, atol=1e-4)
    assert not log_spectrogram(jnp.zeros(512), window=64, hop=32).any()


def test_integers_are_parts_of_their_range():
    integers = jnp.round(tone(64) * 32767).astype(jnp.int16)
    came, expected = (log_spectrogram(wave, window=64, hop=32) for wave in (integers, tone(64)))
    np.testing.assert_allclose(came[2:-2, 8], expected[2:-2, 8], atol=1e-3)


def test_views_differ_by_volume_alone():
    view = audio_view(window=64, hop=32, volume=(0.5, 1.0))
    views = jnp.stack([view(jax.random.key(seed), tone(64)) for seed in range(20)])
    assert views.shape == (20, 16, 33, 1)
    loudness = views[:, 8, 8, 0]
    assert 1 - 20 * np.log10(2) / 80 - 1e-4 <= loudness.min() < loudness.max() <= 1.0001
    assert loudness.max() - loudness.min() > 0.03


@pytest.mark.parametrize(
    "options",
    [{"window": 63, "hop": 32}, {"window": 16, "hop": 32}, {"window": 64, "hop": 0}, {"window": 2000, "hop": 600}],
)
def test_what_cannot_be_is_one_sentence(options):
    with pytest.raises(UsageError, match=r"spectrogram: needs a waveform .* \(512,\), hop="):
        log_spectrogram(tone(1), **options)
