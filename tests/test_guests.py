"""Synthetic guests, and that their script is what it says: told from its times alone, and from how it sounds."""

import asyncio
from collections import Counter
from functools import cache
from itertools import islice, pairwise

import numpy as np
import pytest

from tests.hall import hall
from tests.make_recording import rendered, write
from tests.make_voices import FOLDER, LEAD, TAIL
from worker.audio.ear import Ear
from worker.audio.files import open_recording
from worker.audio.opus import OpusDecoder
from worker.audio.windows import Windows
from worker.emotion.smoothing import Smoother
from worker.events import SpeakerJoined, SpeechEnded
from worker.rooms import guests
from worker.speaker import Models, Speaker
from worker.vad.segmenter import Segmenter
from worker.vad.silero import Silero

CAST = ("robin", "kim", "alex", "sam")


@cache
def written():
    """(who, start, end) of each line, in seconds, from when each clip is played and how long it is."""
    lines = [(who, at, len(guests.clip(who, name))) for at, who, name in guests.script()["lines"]]
    return [(who, at + LEAD * 0.02, at + (length - TAIL) * 0.02) for who, at, length in lines]


def judged(utterances):
    """What happens between speakers, by the definitions of docs/metrics.md: (what, who came in, on whom)."""
    found = []
    for who, start, end in utterances:
        for other, began, stopped in utterances:
            if other != who and began < start < stopped:
                verdict = verdict_of(start, end, stopped, start - alone_since(utterances, other, began, start))
                found.append((verdict, who, other))
    return found


def alone_since(utterances, speaker, began, at):
    """From when on the speaker had the floor: since they began, or since those they came in on had stopped."""
    return max([began, *[e for who, s, e in utterances if who != speaker and s < began < e < at]])


def verdict_of(start, end, other_stopped, held):
    overlap = min(end, other_stopped) - start
    if end - start < 1 and other_stopped > end:
        return "back-channel"
    if held >= 1 and overlap >= 0.5 and other_stopped - start <= 1 and end - start >= 1.5:
        return "interruption"
    return "turn" if other_stopped < end and overlap < 0.5 else "overlap"


def runs(utterances, speaker, bridge_s=2.0):
    """(start, end) of the speaker's utterances, those with shorter pauses between them as one."""
    found = []
    for who, start, end in utterances:
        if who == speaker and found and start - found[-1][1] < bridge_s:
            found[-1] = (found[-1][0], end)
        elif who == speaker:
            found.append((start, end))
    return found


async def heard():
    """The same, as the worker hears the packets that the guests send."""
    models = Models(vad=in_turn(Silero().predict), engine=None, engine_name="none")
    found = []
    for number, who in enumerate(CAST):
        packets = guests.guest(number).packets
        ear, speaker = Ear(who), Speaker(who, models, Segmenter(who), Windows(), Smoother())
        events = []
        for step, (header, payload) in enumerate(islice(guests.numbered(packets, 0), len(packets))):
            for chunk in ear.push(header, payload, step * 0.02):
                events += await speaker.hear(chunk)
            events += speaker.tick(step * 0.02 - 0.15)
        found += [(who, event.started, event.at) for event in events if isinstance(event, SpeechEnded)]
    return sorted(found, key=lambda utterance: utterance[1])


def in_turn(predict):
    async def ask(question):
        return predict([question])[0]

    return ask


# -- the script -------------------------------------------------------------------------------------------------------


def test_the_script_has_interruptions_back_channels_and_one_who_does_not_give_way():
    verdicts = judged(written())
    assert [verdict for verdict in verdicts if verdict[0] != "back-channel"] == [
        ("interruption", "robin", "kim"),
        ("interruption", "robin", "kim"),
        ("interruption", "kim", "robin"),
        ("overlap", "robin", "kim"),
        ("interruption", "kim", "robin"),
        ("interruption", "robin", "kim"),
    ]
    assert Counter(who for verdict, who, _ in verdicts if verdict == "back-channel") == {"kim": 3, "alex": 2}


def test_the_script_has_a_monologue_in_which_nobody_else_says_a_sentence():
    start, end = max(runs(written(), "robin"), key=lambda run: run[1] - run[0])
    assert end - start >= 100
    assert all(e - s < 1 for who, s, e in written() if who != "robin" and start < s < end)


def test_the_script_has_one_who_says_nothing():
    assert {who for who, *_ in written()} == set(CAST) - {"sam"}
    assert set(guests.guest(CAST.index("sam")).packets) == {guests.SILENCE}


def test_the_heated_exchange_is_louder_faster_and_higher_and_on_both_sides():
    manners, clips = guests.script()["manners"], guests.script()["clips"]
    assert all(manners["heated"][by] > manners["calm"][by] for by in manners["calm"])
    for who in ("robin", "kim"):
        level = {manner: [loudness(who, n) for n, (m, _) in clips[who].items() if m == manner] for manner in manners}
        assert min(level["heated"]) > 1.5 * max(level["calm"])
    manner = [clips[who][name][0] for _, who, name in guests.script()["lines"]]
    first = manner.index("heated")
    assert manner.count("heated") == 6
    assert set(manner[first : first + 6]) == {"heated"}


def loudness(who, name):
    decoder = OpusDecoder()
    return float(np.sqrt(np.mean(np.concatenate([decoder.decode(packet) for packet in guests.clip(who, name)]) ** 2)))


@pytest.mark.parametrize("who", CAST)
def test_each_line_is_an_utterance_of_its_own_and_the_round_can_begin_anew(who):
    own = [(start, end) for speaker, start, end in written() if speaker == who]
    assert all(after[0] - before[1] >= 0.7 for before, after in pairwise(own))
    assert not own or own[-1][1] + 2.2 < guests.script()["round_s"] + own[0][0]


def test_there_is_a_file_of_every_clip_and_a_line_for_it():
    script = guests.script()
    clips = {(who, name) for who, names in script["clips"].items() for name in names}
    assert {(who, name) for _, who, name in script["lines"]} == clips
    assert {tuple(path.stem.split("-", 2)[1:]) for path in FOLDER.glob("*.ogg")} == clips


async def test_the_worker_hears_what_is_written():
    utterances = await heard()
    assert [who for who, *_ in utterances] == [who for who, *_ in written()]
    assert np.abs(np.array([u[1:] for u in utterances]) - [u[1:] for u in written()]).max() < 0.2
    assert judged(utterances) == judged(written())


# -- the guests -------------------------------------------------------------------------------------------------------


def test_guests_are_called_synthetic_and_have_a_side():
    cast = [guests.guest(number) for number in range(5)]
    assert all(guest.name.endswith("(synthetic)") for guest in cast)
    assert len({guest.name for guest in cast}) == 5
    assert [guest.role for guest in cast] == ["seller", "customer", "customer", "customer", ""]


async def test_a_room_says_what_each_guest_is():
    async with hall(guests=4) as one:
        await one.until(lambda: len(one.kinds(SpeakerJoined)) == 4)
    cast = [guests.guest(number) for number in range(4)]
    assert [(joined.name, joined.role) for joined in one.kinds(SpeakerJoined)] == [(g.name, g.role) for g in cast]


def test_who_comes_beyond_the_script_listens():
    assert set(guests.guest(7).packets) == {guests.SILENCE}


def test_rounds_are_as_long_and_silence_in_them_is_silent():
    assert {len(guests.guest(number).packets) for number in range(5)} == {round(guests.script()["round_s"] * 50)}
    decoder = OpusDecoder()
    assert max(np.abs(decoder.decode(guests.SILENCE)).max() for _ in range(50)) < 1e-4


def test_a_voice_alone_says_all_its_clips():
    clips = guests.script()["clips"]["kim"]
    spoken = [packet for packet in guests.packets(1) if packet is not guests.SILENCE]
    assert spoken == [packet for name in clips for packet in guests.clip("kim", name)]
    assert guests.packets(0) == guests.packets(3) != guests.packets(1)


def test_a_voice_without_end():
    numbered = list(islice(guests.numbered([b"a", b"b", guests.SILENCE], 1), 5))
    assert [payload for _, payload in numbered] == [b"b", guests.SILENCE, b"a", b"b", guests.SILENCE]
    assert [(header.sequence, header.timestamp) for header, _ in numbered] == [(n, n * 960) for n in range(5)]
    assert [header.level for header, _ in numbered] == [None, 127, None, None, 127]
    assert all(header.payload(payload) == payload for header, payload in numbered)


def test_its_numbers_wrap():
    header, _ = next(islice(guests.numbered([b"a"], 0), 2**16 + 1, None))
    assert header.sequence == 1


async def test_guests_stay_in_step_until_cancelled():
    given = []
    cast = [guests.guest(number) for number in range(2)]
    task = asyncio.create_task(guests.converse(cast, lambda *packet: given.append(packet)))
    while len(given) < 8:
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(place, header.sequence) for place, header, *_ in given[:8]] == [(n % 2, n // 2) for n in range(8)]
    assert given[6][3] - given[0][3] > 0.03


@pytest.mark.parametrize("suffix", [".flac", ".wav"])
def test_a_recording_has_a_channel_for_each_guest(tmp_path, suffix):
    whole = rendered()
    assert whole.shape == (4, round(guests.script()["round_s"] * 16_000))
    part = whole[:, 16_000 * 16 : 16_000 * 21]
    write(tmp_path / f"talk{suffix}", part)
    read = np.concatenate(list(open_recording(tmp_path / f"talk{suffix}").blocks()), axis=1)
    assert read.shape == part.shape
    assert np.abs(read - part).max() < 1e-4
