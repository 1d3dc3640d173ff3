"""Decodes Opus straight to 16 kHz mono with libopus: the copy inside the PyAV wheel, else the system's."""

import ctypes.util
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np

from worker.audio import RATE, Samples
from worker.errors import ConfigError

LONGEST = RATE * 120 // 1000
"""Samples of the longest Opus packet, 120 ms (RFC 6716, section 3.2.5)."""
FRAME = RATE * 20 // 1000
"""Samples of the usual packet, 20 ms; what one lost packet stands for."""

_INTERFACE = """
typedef struct OpusDecoder OpusDecoder;
OpusDecoder *opus_decoder_create(int32_t rate, int channels, int *error);
void opus_decoder_destroy(OpusDecoder *decoder);
int opus_decode_float(OpusDecoder *d, const unsigned char *data, int32_t size, float *pcm, int room, int fec);
int opus_packet_get_nb_samples(const unsigned char *data, int32_t size, int32_t rate);
int opus_packet_has_lbrr(const unsigned char *data, int32_t size);
"""


@cache
def _library() -> tuple[cffi.FFI, Any]:
    import av  # the decoder is found beside it; importing it elsewhere is not needed

    ffi = cffi.FFI()
    ffi.cdef(_INTERFACE)
    beside = Path(av.__file__).parent.parent / "av.libs"
    names = [str(path) for path in sorted(beside.glob("libopus-*"))] + [ctypes.util.find_library("opus") or ""]
    for name in filter(None, names):
        try:
            return ffi, ffi.dlopen(name)
        except OSError:
            continue
    raise ConfigError(
        f"libopus was found neither in the PyAV wheel ({beside}) nor on the system: "
        "reinstall av from a wheel, or install libopus0."
    )


class OpusDecoder:
    """One speaker's decoder. Every call moves its state forward, so packets must come in order."""

    def __init__(self) -> None:
        self._ffi, self._lib = _library()
        error = self._ffi.new("int *")
        self._state = self._ffi.gc(self._lib.opus_decoder_create(RATE, 1, error), self._lib.opus_decoder_destroy)
        if error[0]:
            raise ConfigError(f"libopus could not make a decoder (error {error[0]}).")
        self._decode_float = self._lib.opus_decode_float
        self._lengths: dict[int, int] = {}
        """Samples of a packet by its first octet, where that says it all."""
        self._pcm = np.zeros(LONGEST, np.float32)
        self._out = self._ffi.cast("float *", self._pcm.ctypes.data)

    def length(self, payload: bytes) -> int:
        """Samples that a packet claims to hold, without decoding it; 0 when it is malformed."""
        first = payload[0] if payload else 3
        known = self._lengths.get(first)
        if known is not None:
            return known
        samples: int = max(0, self._lib.opus_packet_get_nb_samples(payload, len(payload), RATE))
        if first & 3 != 3:  # the packet counts its frames itself (RFC 6716, 3.2.5)
            self._lengths[first] = samples
        return samples

    def carries_copy(self, payload: bytes) -> bool:
        """Whether a packet holds a copy of the sound before it. False where libopus (before 1.5) can't tell."""
        try:
            return bool(self._lib.opus_packet_has_lbrr(payload, len(payload)) > 0)
        except AttributeError:
            return False

    def decode(self, payload: bytes) -> Samples | None:
        """The sound of a packet, or None when it is corrupt; the decoder then goes on with the next."""
        return self._run(payload, len(payload), LONGEST, 0) if payload else None  # libopus takes nothing for a loss

    def recover(self, following: bytes, samples: int = FRAME) -> Samples | None:
        """The sound of the lost packet before `following`, from the in-band copy that it may carry, else a guess."""
        return self._run(following, len(following), samples, 1)

    def conceal(self, samples: int = FRAME) -> Samples | None:
        """A guess at lost sound; `samples` is a multiple of 2.5 ms."""
        return self._run(self._ffi.NULL, 0, samples, 0)

    def _run(self, data: Any, size: int, room: int, fec: int) -> Samples | None:
        count = self._decode_float(self._state, data, size, self._out, room, fec)
        return self._pcm[:count].copy() if count > 0 else None
