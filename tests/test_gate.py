"""The gate: which packets are worth decoding."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.coded import by_number, encode, levels_of, packet
from tests.speech import silence, speech
from worker.audio import RATE
from worker.audio.ear import Ear
from worker.audio.gate import HELD, LOUD, OPEN, Gate
from worker.audio.opus import FRAME

STEP = 960
QUIET, VOICE = 127, 30
STEADY = [50, 52, 49, 51, 48, 50, 51, 49]
"""A fan at about -50 dBov."""


def run(levels, gate=None, first=0, step=STEP):
    """Push packets 0, 1, 2 … with these levels, `step` ticks apart; what each push gave, by number."""
    gate = gate or Gate()
    return [list(gate.push(n, level, (first + n * step) & 0xFFFFFFFF)) for n, level in enumerate(levels)]


def given_by(levels, **how):
    return [number for said in run(levels, **how) for number in said]


def steady(seconds):
    return [STEADY[n % len(STEADY)] for n in range(round(seconds * 50))]


# -- opening ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quiet", [0, 1, 9, 10, 11, 300])
def test_it_opens_with_the_last_200_ms(quiet):
    said = run([QUIET] * quiet + [VOICE])
    assert said[:-1] == [[]] * quiet
    assert said[-1] == list(range(max(0, quiet - 10), quiet + 1))


@pytest.mark.parametrize(("step_ms", "before"), [(20, 10), (60, 3), (100, 2), (120, 1), (400, 0)])
def test_the_last_200_ms_are_counted_by_timestamps(step_ms, before):
    assert run([QUIET] * 12 + [VOICE], step=step_ms * 48)[-1] == list(range(12 - before, 13))


@pytest.mark.parametrize(("level", "opens"), [(0, True), (OPEN - 1, True), (OPEN, False), (127, False), (None, True)])
def test_what_opens_it(level, opens):
    gate = Gate()
    assert gate.passes(level) is opens
    assert run([level], gate) == [[0] if opens else []]
    assert gate.is_open is opens


def test_a_packet_without_a_level_opens_it_in_a_noisy_room_too():
    assert run([*steady(4), None])[-1][-1] == 200


# -- closing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("step_ms", "after"), [(20, 25), (60, 8), (250, 2), (400, 1), (501, 0)])
def test_it_stays_open_for_500_ms_of_media_time(step_ms, after):
    assert given_by([VOICE] + [QUIET] * 40, step=step_ms * 48) == list(range(after + 1))


def test_speech_again_within_the_hangover_needs_no_pre_roll():
    assert run([VOICE] + [QUIET] * 20 + [VOICE])[-1] == [21]


def test_after_the_hangover_it_opens_with_what_was_not_given_yet():
    said = given_by([VOICE] + [QUIET] * 30 + [VOICE])
    assert said == [*range(26), *range(26, 32)]


def test_packets_of_dtx_keep_it_closed():
    """After speech the sender goes on with one packet every 400 ms."""
    gate = Gate()
    run([VOICE] * 10, gate)
    at = 10 * STEP
    said = [list(gate.push(n, QUIET, at + n * 400 * 48)) for n in range(10)]
    assert said == [[0], [1], *[[]] * 8]  # the second is 420 ms behind the last word
    assert list(gate.push(99, VOICE, at + 9 * 400 * 48 + STEP)) == [9, 99]


# -- losses -----------------------------------------------------------------------------------------------------------


def test_losses_before_the_opening_keep_their_place():
    """5 packets and 5 losses, by turns, are 200 ms."""
    gate, said = Gate(), []
    for number in range(0, 40, 2):
        said += gate.lost(f"before {number}", number * STEP)
        said += gate.push(number, QUIET, number * STEP)
    assert said == []
    expected = [item for number in range(30, 40, 2) for item in (f"before {number}", number)]
    assert list(gate.push(39, VOICE, 39 * STEP)) == [*expected, 39]


def test_a_loss_right_before_the_first_loud_packet_comes_with_it():
    gate = Gate()
    run([QUIET] * 5, gate)
    assert list(gate.lost("lost", 7 * STEP)) == []
    assert list(gate.push(7, VOICE, 7 * STEP)) == [0, 1, 2, 3, 4, "lost", 7]


def test_a_loss_in_speech_is_given_at_once():
    gate = Gate()
    run([VOICE], gate)
    assert list(gate.lost("lost", 2 * STEP)) == ["lost"]


# -- noise ------------------------------------------------------------------------------------------------------------


def test_steady_noise_closes_it_and_speech_opens_it():
    """The noise is known after 1.5 s; with the hangover that is 2 s."""
    said = run([*steady(6), 35])
    assert given_by(steady(6))[-1] == pytest.approx(100, abs=3)
    assert said[-1] == list(range(290, 301))


def test_noise_that_begins_in_a_quiet_room_is_learned_in_3_s():
    assert 150 + 100 <= given_by([QUIET] * 150 + steady(10))[-1] <= 150 + 180


def test_speech_over_noise_stays_whole():
    """Words of 300 ms with gaps of 200 ms, in which the noise is heard; for 10 s."""
    talk = ([33] * 15 + STEADY + [50, 50]) * 20
    said = given_by(steady(4) + talk)
    assert set(range(200, 200 + len(talk))) <= set(said)


@pytest.mark.parametrize("after", [70, 127])
def test_the_noise_is_forgotten_within_3_s(after):
    gate = Gate()
    run(steady(6), gate)
    assert gate.threshold < 45
    run([after] * 150, gate, first=300 * STEP)
    assert gate.threshold == OPEN


def test_a_pause_without_packets_forgets_the_noise():
    gate = Gate()
    run(steady(6), gate)
    assert not gate.push("a", 49, (300 + 50) * STEP)  # 1 s later it is still the noise
    assert not gate.push("b", 49, (350 + 151) * STEP)
    assert list(gate.push("c", 49, (350 + 152) * STEP)) == ["b", "c"]


def test_however_loud_the_noise_is_what_is_louder_than_35_passes():
    gate = Gate()
    run([20] * 500, gate)
    assert gate.threshold == LOUD
    assert gate.passes(LOUD - 1)


def test_a_noisy_stretch_between_words_closes_nothing_in_a_quiet_room():
    """A vowel of 1.4 s at one level teaches no noise."""
    said = given_by([QUIET] * 50 + [40] * 70 + [55] * 20)
    assert said == list(range(40, 140))


# -- timestamps -------------------------------------------------------------------------------------------------------

WORDS = [QUIET] * 60 + [VOICE] * 5 + [QUIET] * 60 + [VOICE] + steady(3) + [VOICE] + [QUIET] * 40


@pytest.mark.parametrize("first", [2**32 - STEP, 2**32 - 62 * STEP, 2**32 - 130 * STEP, 2**31, 2**32 - 1])
def test_timestamps_may_wrap(first):
    assert given_by(WORDS, first=first) == given_by(WORDS)


@pytest.mark.parametrize("jump", [48_000 * 3600, -48_000 * 3600, 2**31])
def test_a_jump_of_the_timestamps_leaves_the_old_pre_roll_behind(jump):
    gate, to = Gate(), 2**31 + 1000 + jump & 0xFFFFFFFF
    run([QUIET] * 20, gate, first=2**31)
    assert list(gate.push("new", VOICE, to)) == ["new"]
    assert list(gate.push("next", QUIET, to + STEP)) == ["next"]


def test_a_jump_while_open_closes_it_without_harm():
    gate = Gate()
    run([VOICE] * 5, gate, first=2**31)
    assert list(gate.push("quiet", QUIET, 48_000)) == []
    assert list(gate.push("loud", VOICE, 48_000 + STEP)) == ["quiet", "loud"]


levels = st.none() | st.integers(0, 127) | st.sampled_from([QUIET, QUIET, QUIET, 50, 59, 60])


@settings(deadline=None)
@given(st.lists(st.tuples(levels, st.integers(0, 2**32 - 1) | st.just(None)), max_size=200))
def test_each_at_most_once_in_order_and_the_loud_always(steps):
    gate, at, said = Gate(), 0, []
    for number, (level, jump) in enumerate(steps):
        at = at + STEP if jump is None else jump
        passed = gate.passes(level)
        now = list(gate.push(number, level, at & 0xFFFFFFFF))
        assert len(now) <= HELD + 1
        assert LOUD <= gate.threshold <= OPEN
        if level is None or level < LOUD:
            assert now[-1] == number
        assert passed or not now  # what the gate would leave alone is given later or never
        said += now
    assert said == sorted(set(said))


@settings(deadline=None)
@given(st.lists(levels, max_size=200), st.integers(0, 2**32 - 1))
def test_where_timestamps_begin_does_not_matter(steps, first):
    assert run(steps, first=first) == run(steps)


# -- speech ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", [0, 0x80])
def test_the_voice_flag_is_not_asked(flag):
    ear, payload = Ear("ada"), encode(speech("anna")[:FRAME])[0]
    levels = [127 | flag] * 20 + [40 | flag]
    chunks = [ear.push(*packet(n, n * 960, payload, level), 10 + n * 0.02) for n, level in enumerate(levels)]
    assert [len(said) for said in chunks] == [0] * 20 + [11]
    assert [chunk.start for chunk in chunks[-1]] == pytest.approx([10 + n * 0.02 for n in range(10, 21)])


@cache
def conversation(name, noise_dbov):
    """Twice 5 s of real speech with 3 to 4 s of the room before, between and after."""
    said = speech(name)
    sound = np.concatenate([silence(3), said[: 5 * RATE], silence(4), said[5 * RATE : 10 * RATE], silence(3)])
    if noise_dbov is not None:
        noise = np.random.default_rng(7).standard_normal(len(sound)) * 10 ** (noise_dbov / 20)
        sound = sound + noise.astype(np.float32)
    return sound


def hear(coded, levels, gated):
    """The sound of each packet, by its number."""
    ear, chunks = Ear("ada", gated=gated), []
    for n, (payload, level) in enumerate(zip(coded, levels, strict=False)):
        chunks += ear.push(*packet(n, n * 960, payload, level), 10 + n * 0.02)
    return by_number(chunks)


def openings(numbers):
    return [n for n in numbers if n - 1 not in numbers]


@pytest.mark.parametrize("noise_dbov", [None, -65, -50])
@pytest.mark.parametrize("name", ["anna", "ben"])
@pytest.mark.parametrize("options", [{}, {"fec": "1", "packet_loss": "10"}])
def test_gated_speech_is_the_ungated_sample_for_sample(name, noise_dbov, options):
    """But for the first 20 ms of the 200 ms before an opening, in which the decoder finds its way."""
    sound = conversation(name, noise_dbov)
    coded, levels = encode(sound, **options), levels_of(sound)
    gated, whole = (hear(coded, levels, gated) for gated in (True, False))
    assert len(gated) < 0.85 * len(whole)
    assert len(openings(gated)) >= 2
    differ = {n for n, samples in gated.items() if not np.array_equal(samples, whole[n])}
    assert differ <= set(openings(gated))
    gate = Gate()
    loud = {n for n, level in enumerate(levels) if gate.push(n, level, n * 960) and level < gate.threshold}
    assert len(loud) > 200
    assert loud <= set(gated)
    assert not loud & differ


def test_gated_music_differs_by_nothing_that_is_heard():
    """The other half of Opus, CELT, forgets exponentially: within 0.6 s of an opening the last bit is equal."""
    sound = conversation("ben", -65)
    coded, levels = encode(sound, application="lowdelay"), levels_of(sound)
    gated, whole = (hear(coded, levels, gated) for gated in (True, False))
    for n in openings(gated):
        warm = [k for k in range(n, n + 60) if k in gated]
        assert all(np.abs(gated[k] - whole[k]).max() < 2e-4 for k in warm[10:])
        assert all(np.array_equal(gated[k], whole[k]) for k in warm[30:])
