"""Makes the recordings beside this file: python tests/data/make.py (needs espeak-ng)."""

import subprocess
import tempfile
from pathlib import Path

import av

HERE = Path(__file__).parent

REPORT = (
    "Good morning everyone. I have read the report, and I think that we should talk about the second part before we "
    "decide anything. There is no hurry at all."
)
TABLES = (
    "Thank you. Last week we moved the tables to the other room, so there is more space for everybody who wants to "
    "join us in the afternoon."
)
NEWS = (
    "That is wonderful news! We really did it, all of us together, and I cannot wait to tell the whole team about it "
    "right now!"
)

VOICES = {
    "anna": (["-v", "en-us+f3", "-s", "150", "-p", "45", "-a", "70"], REPORT),
    "anna_lively": (["-v", "en-us+f3", "-s", "195", "-p", "75", "-a", "160"], NEWS),
    "ben": (["-v", "en-gb+m3", "-s", "150", "-p", "35", "-a", "90"], TABLES),
}


def encode(wav: Path, ogg: Path) -> None:
    """Ogg Opus, mono, 24 kb/s, without metadata."""
    with av.open(str(wav)) as source, av.open(str(ogg), "w", options={"fflags": "+bitexact"}) as target:
        stream = target.add_stream("libopus", rate=48_000, layout="mono")
        stream.bit_rate = 24_000
        resampler = av.AudioResampler("s16", "mono", 48_000, frame_size=960)
        for frame in [*source.decode(audio=0), None]:
            for piece in resampler.resample(frame):
                target.mux(stream.encode(piece))
        target.mux(stream.encode(None))


def main() -> None:
    for name, (options, text) in VOICES.items():
        with tempfile.TemporaryDirectory() as folder:
            wav = Path(folder) / "speech.wav"
            subprocess.run(["espeak-ng", *options, "-w", str(wav), text], check=True)
            encode(wav, HERE / f"{name}.ogg")


if __name__ == "__main__":
    main()
