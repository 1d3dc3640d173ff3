"""Recordings of any kind, and files that are none."""

import wave
from fractions import Fraction

import av
import numpy as np
import pytest

from worker.audio import RATE
from worker.audio.files import open_recording
from worker.errors import ConfigError


def tones(count, channels, rate):
    """Channel c is a sine of 300 + 100 c Hz, shape (channels, count)."""
    frequencies = 300 + 100 * np.arange(channels)[:, None]
    return (0.5 * np.sin(2 * np.pi * frequencies * np.arange(count) / rate)).astype(np.float32)


def write_wav(path, seconds=1.0, channels=1, rate=RATE):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((tones(round(seconds * rate), channels, rate).T * 32767).astype("<i2").tobytes())
    return path


def write_coded(path, codec, seconds=2.0, layout="stereo", channels=2, missing=(0.0, 0.0), video=False):
    """Encode tones; `missing` is a stretch whose packets are left out, as a recorder does for silence."""
    with av.open(str(path), "w") as container:
        if video:
            pictures = container.add_stream("vp8", rate=10)
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        stream = container.add_stream(codec, rate=48_000, layout=layout)
        if video:
            for packet in pictures.encode(av.VideoFrame(32, 32, "yuv420p")):
                container.mux(packet)
        packed = np.ascontiguousarray(tones(round(seconds * 48_000), channels, 48_000).T.reshape(1, -1))
        frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        sizer = av.AudioResampler(stream.format.name, layout, 48_000, frame_size=960)
        for piece in [*sizer.resample(frame), *sizer.resample(None), None]:
            for packet in stream.encode(piece):
                if not missing[0] <= float(packet.pts * packet.time_base) < missing[1]:
                    container.mux(packet)
    return path


def read(path, **options):
    recording = open_recording(path)
    blocks = list(recording.blocks(**options))
    return np.concatenate(blocks, axis=1), blocks, recording


def pitch(samples):
    return np.argmax(np.abs(np.fft.rfft(samples, RATE)))


@pytest.mark.parametrize(
    ("rate", "channels"), [(8_000, 1), (16_000, 1), (44_100, 3), (48_000, 2), (48_000, 8), (16_000, 10), (48_000, 64)]
)
def test_channels_and_pitch_survive(tmp_path, rate, channels):
    sound, blocks, recording = read(write_wav(tmp_path / "a.wav", 1.05, channels, rate), block_s=0.1)
    assert recording.channels == channels
    assert recording.duration_s == pytest.approx(1.05, abs=0.001)
    assert sound.shape == (channels, round(1.05 * RATE))
    assert sound.dtype == np.float32
    assert {block.shape[1] for block in blocks[:-1]} == {1600}
    if rate > 8_000:
        assert [pitch(channel) for channel in sound] == [300 + 100 * index for index in range(channels)]


@pytest.mark.parametrize(("codec", "suffix"), [("libopus", "webm"), ("libmp3lame", "mp3"), ("flac", "flac")])
def test_coded_files(tmp_path, codec, suffix):
    sound, _, recording = read(write_coded(tmp_path / f"a.{suffix}", codec))
    assert sound.shape == (2, 2 * RATE)
    assert [pitch(channel) for channel in sound] == [300, 400]
    assert recording.problem is None


def test_the_sound_of_a_video(tmp_path):
    sound, _, _ = read(write_coded(tmp_path / "a.webm", "libopus", video=True))
    assert sound.shape[1] == pytest.approx(2 * RATE, abs=RATE // 50)


def test_mono_is_the_mean_of_all_channels(tmp_path):
    path = write_wav(tmp_path / "a.wav", channels=4)
    assert read(path, mono=True)[0] == pytest.approx(read(path)[0].mean(axis=0, keepdims=True), abs=1e-6)


def test_a_hole_in_the_timestamps_is_silence(tmp_path):
    sound, _, _ = read(write_coded(tmp_path / "a.webm", "libopus", 3.0, missing=(1.0, 2.0)))
    level = np.abs(sound[0, : 29 * 1600]).reshape(-1, 1600).max(axis=1)
    assert sound.shape[1] == pytest.approx(3 * RATE, abs=RATE // 50)
    assert (level[:9] > 0.3).all()
    assert (level[12:19] < 0.01).all()
    assert (level[21:29] > 0.3).all()


def test_reading_twice_gives_the_same(tmp_path):
    recording = open_recording(write_coded(tmp_path / "a.mp3", "libmp3lame"))
    first, second = list(recording.blocks()), list(recording.blocks())
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize(("codec", "suffix"), [("libopus", "webm"), ("libmp3lame", "mp3"), ("flac", "flac")])
def test_a_file_that_was_cut_off_gives_what_it_has_and_says_so(tmp_path, codec, suffix):
    path = write_coded(tmp_path / f"a.{suffix}", codec)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 10])
    sound, _, recording = read(path)
    assert 0.3 * RATE < sound.shape[1] < 1.2 * RATE
    assert recording.problem.startswith("stops after")


def test_damage_in_the_middle_is_passed_over(tmp_path):
    path = write_coded(tmp_path / "a.mp3", "libmp3lame")
    data = bytearray(path.read_bytes())
    data[9_000:11_000] = bytes(2_000)
    path.write_bytes(data)
    sound, _, recording = read(path)
    assert sound.shape[1] > 1.5 * RATE
    assert recording.problem.startswith("is damaged")


def no_channels(path):
    data = bytearray(write_wav(path).read_bytes())
    data[22:24] = b"\0\0"
    path.write_bytes(data)


def claims_rate(path, rate):
    data = bytearray(write_wav(path).read_bytes())
    data[24:28] = rate.to_bytes(4, "little")
    path.write_bytes(data)


def picture_only(path):
    with av.open(str(path), "w", format="webm") as container:
        stream = container.add_stream("vp8", rate=10)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for frame in (av.VideoFrame(32, 32, "yuv420p"), None):
            container.mux(stream.encode(frame))


BAD = {
    "does not exist: give the path": lambda path: None,
    "is a folder: give the path": lambda path: path.mkdir(),
    "is empty: give the path": lambda path: path.write_bytes(b""),
    "is not a recording that can be read": lambda path: path.write_text("no sound\n" * 100),
    "has a sound track without channels": no_channels,
    "has no sound: give a file with an audio track": picture_only,
    "has 1000 samples per second: speech needs at least 8000": lambda path: write_wav(path, rate=1000),
    "claims 2147483647 samples per second: record": lambda path: claims_rate(path, 2_147_483_647),
    "claims 768001 samples per second: record": lambda path: claims_rate(path, 768_001),
    "has 65 channels: split it into files of at most 64": lambda path: write_wav(path, channels=65),
    "holds no sound that can be decoded: convert it": lambda path: write_wav(path, seconds=0),
}


@pytest.mark.parametrize("sentence", BAD)
def test_a_file_without_sound_is_refused_in_one_sentence(tmp_path, sentence):
    path = tmp_path / "bad.wav"
    BAD[sentence](path)
    with pytest.raises(ConfigError) as error:
        open_recording(path)
    assert str(error.value).startswith(f"{path} {sentence}")
    assert str(error.value).endswith(".")


def test_a_playlist_does_not_lead_elsewhere(tmp_path):
    write_wav(tmp_path / "a.wav")
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.wav\n")
    with pytest.raises(ConfigError, match="is not a recording"):
        open_recording(playlist)


def test_a_name_with_a_colon_is_a_file(tmp_path):
    assert open_recording(write_wav(tmp_path / "10:30 http:.wav")).channels == 1
