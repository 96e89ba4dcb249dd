"""WAV files of 16-bit samples."""

from __future__ import annotations

import struct

import numpy as np

from mgjax.errors import InvalidArgumentError
from mgjax.host.strings import as_bytes
from mgjax.ops import lower


@lower("EncodeWav", host=True)
def encode_wav_op(audio, sample_rate):
    """The file of [frame, channel] between -1 and 1."""
    if audio.ndim != 2:
        raise InvalidArgumentError(f"audio must be 2-dimensional, not of shape {list(audio.shape)}")
    return np.array(encode_wav(audio, int(sample_rate)), object)


def encode_wav(sound: np.ndarray, sample_rate: int) -> bytes:
    """A WAV file of 16-bit samples, from [frame, channel] between -1 and 1."""
    channels = sound.shape[1]
    scaled = sound.astype(np.float32) * np.float32(32768)
    # C's roundf: halves away from zero.
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled))
    samples = np.clip(rounded, -32768, 32767).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", 1, channels, sample_rate, sample_rate * channels * 2, channels * 2, 16)
    chunks = b"WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", len(samples)) + samples
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@lower("DecodeWav", host=True)
def decode_wav(contents, *, desired_channels=-1, desired_samples=-1):
    """[frame, channel] between -1 and 1, cut or padded with silence as desired, and the sample rate."""
    data = as_bytes(contents[()])
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise InvalidArgumentError(f"Header mismatch: expected a RIFF file of WAVE, found {data[:12]!r}")
    form = samples = None
    at = 12
    while at + 8 <= len(data):
        kind, (length,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + length]
        form = body if kind == b"fmt " else form
        samples = body if kind == b"data" else samples
        # Chunks begin at even places.
        at += 8 + length + length % 2
    if form is None or samples is None or len(form) < 16:
        raise InvalidArgumentError("a WAV file without its format or its data")
    encoding, channels, rate, _, _, bits = struct.unpack("<HHIIHH", form[:16])
    if encoding != 1 or bits != 16 or channels == 0:
        raise InvalidArgumentError(
            f"Bad audio format for WAV: expected 1 (PCM) with 16 bits per sample, found {encoding} with {bits}"
        )
    frames = len(samples) // (2 * channels)
    sound = np.frombuffer(samples, "<i2", frames * channels).reshape(frames, channels).astype(np.float32) / 32768
    count = frames if desired_samples < 0 else desired_samples
    sound = sound[:count]
    sound = np.pad(sound, [(0, count - len(sound)), (0, 0)])
    wide = channels if desired_channels < 0 else desired_channels
    # A channel that the file lacks repeats its last one.
    sound = sound[:, np.minimum(np.arange(wide), channels - 1)]
    return np.ascontiguousarray(sound), np.int32(rate)
