import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.conversation.talk_time import LEAVERS, LEAVERS_TOLD, TalkTimes
from worker.errors import ConfigError
from worker.events import SpeakerAnalysed, SpeakerJoined, SpeakerLeft, SpeechEnded, SpeechStarted
from worker.figures import Talk


def joined(*speakers, at=0.0, **options):
    times = TalkTimes(**options)
    for speaker in speakers:
        list(times.push(SpeakerJoined(at, speaker, "A name")))
    return times


def says(times, speaker, started, ended):
    list(times.push(SpeechStarted(started, speaker)))
    list(times.push(SpeechEnded(ended, speaker, started)))


def test_nobody_has_nothing_said_of_them():
    assert TalkTimes().tick(5.0) == []


def test_seconds_and_shares():
    times = joined("ada", "bob")
    says(times, "ada", 0.5, 2.0)
    says(times, "bob", 2.1, 2.6)
    assert times.tick(3.0)[-1].speakers == {"ada": Talk(1.5, 0.75), "bob": Talk(0.5, 0.25)}


def test_overlapping_speech_counts_for_each():
    times = joined("ada", "bob")
    says(times, "ada", 0.0, 2.0)
    says(times, "bob", 0.0, 2.0)
    assert times.tick(2.0)[-1].speakers == {"ada": Talk(2.0, 0.5), "bob": Talk(2.0, 0.5)}


def test_silence_has_no_shares():
    assert joined("ada").tick(1.0)[0].speakers == {"ada": Talk(0.0, 0.0)}


def test_one_event_for_each_second_reached():
    times = joined("ada", at=0.4)
    assert times.tick(0.9) == []
    assert [event.at for event in times.tick(1.02)] == [1.0]
    assert times.tick(1.5) == []
    assert [event.at for event in times.tick(4.0)] == [2.0, 3.0, 4.0]
    assert times.tick(0.0) == []


def test_seconds_before_anybody_joined_are_not_told():
    assert [event.at for event in joined("ada", at=1000.2).tick(1002.1)] == [1001.0, 1002.0]


def test_a_tenth_of_a_second_stays_one_in_the_long_run():
    times = joined("ada")
    ticks = [event.at for tenth in range(1, 5001) for event in times.tick(tenth * 0.1)]
    assert ticks == [float(second) for second in range(1, 501)]
    times = joined("ada", every_s=0.1)
    assert [event.at for event in times.tick(0.3)] == [0.1, 0.2, 0.3]


def test_late_ticks_tell_what_was_true_at_each_second():
    times = joined("ada")
    says(times, "ada", 0.5, 2.5)
    assert [event.speakers["ada"].seconds for event in times.tick(3.0)] == [0.5, 1.5, 2.0]


def test_speech_that_goes_on_counts_up_to_what_is_settled():
    times = joined("ada", settle_s=0.5)
    list(times.push(SpeechStarted(1.2, "ada")))
    assert [event.speakers["ada"].seconds for event in times.tick(3.0)] == [0.0, 0.3, 1.3]
    list(times.push(SpeechEnded(2.9, "ada", 1.2)))
    assert times.tick(4.0)[0].speakers["ada"].seconds == 1.7


def test_an_end_known_too_late_takes_nothing_back():
    times = joined("ada", settle_s=0.0)
    list(times.push(SpeechStarted(0.0, "ada")))
    assert times.tick(3.0)[-1].speakers["ada"].seconds == 3.0
    list(times.push(SpeechEnded(2.0, "ada", 0.0)))
    assert times.tick(4.0)[-1].speakers["ada"].seconds == 3.0


def test_who_leaves_and_comes_back_keeps_their_time():
    times = joined("ada", "bob")
    says(times, "ada", 0.0, 1.0)
    list(times.push(SpeakerLeft(1.0, "ada")))
    assert times.tick(2.0)[-1].speakers["ada"] == Talk(1.0, 1.0)
    list(times.push(SpeakerJoined(2.0, "ada", "A name", generation=2)))
    says(times, "ada", 2.0, 2.5)
    assert times.tick(3.0)[-1].speakers["ada"].seconds == 1.5


@pytest.mark.parametrize(
    "gone",
    [
        [SpeakerAnalysed(2.0, "ada", False)],
        [SpeakerLeft(2.0, "ada"), SpeakerAnalysed(2.5, "ada", False)],
        [SpeakerLeft(2.0, "ada"), SpeakerJoined(2.5, "ada", "A name", 2, analysed=False)],
    ],
    ids=["here", "after they left", "as they come back"],
)
def test_who_withdraws_is_told_of_no_more_nor_a_part_of_others_shares(gone):
    times = joined("ada", "bob")
    says(times, "bob", 0.0, 1.0)
    says(times, "ada", 1.0, 2.0)
    for event in gone:
        list(times.push(event))
    assert {len(said.speakers) for said in times.tick(5.0)} == {1}
    assert times.close(6.0)[-1].speakers == {"bob": Talk(1.0, 1.0)}


def test_of_those_who_left_only_some_are_told_of_and_a_bounded_number_is_kept():
    """Each says a little more than the one before, and leaves; the first one stays."""
    times, count = joined("ada"), LEAVERS + 50
    for number in range(count):
        at, who = 10.0 * number, f"p{number}"
        list(times.push(SpeakerJoined(at, who, "A name")))
        says(times, who, at + 1, at + 3 + number / 100)
        list(times.push(SpeakerLeft(at + 9, who)))
        said = times.tick(at + 9.0)[-1].speakers
    newest = {f"p{number}" for number in range(count)[-LEAVERS_TOLD:]}
    assert set(said) == {"ada"} | newest
    everyone = sum(2 + number / 100 for number in range(count))
    assert said[who].share == pytest.approx((2 + (count - 1) / 100) / everyone, abs=1e-4)
    (final,) = times.close(at + 10)
    assert len(final.speakers) == LEAVERS + 1
    assert max(len(kept) for kept in (times._past, times._said, times._left)) == LEAVERS + 1
    assert not times._open
    assert not times._ended


def test_who_is_not_analysed_is_left_out():
    times = joined("ada")
    list(times.push(SpeakerJoined(0.0, "eve", "A name", analysed=False)))
    assert list(times.tick(1.0)[0].speakers) == ["ada"]


def test_who_agrees_later_counts_from_then_on():
    times = TalkTimes()
    list(times.push(SpeakerJoined(0.0, "eve", "A name", analysed=False)))
    assert list(times.tick(5.0)) == []
    says(times, "eve", 6.0, 6.5)
    assert times.tick(8.0)[-1].speakers == {"eve": Talk(0.5, 1.0)}


@pytest.mark.parametrize("options", [{"every_s": 0.0}, {"settle_s": -1.0}])
def test_options_that_cannot_work_are_refused(options):
    with pytest.raises(ConfigError, match="talk_time"):
        TalkTimes(**options)


lengths = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.1, 4.0), st.floats(0.05, 3.0)), max_size=20)


@settings(deadline=None, max_examples=100)
@given(lengths)
def test_never_decreases_and_ends_exact(utterances):
    """Each end becomes known 0.9 s after it; ticks come every 0.1 s, after what is known."""
    facts, ends, exact = [], dict.fromkeys("abc", 0.0), dict.fromkeys("abc", 0.0)
    for speaker, length, pause in utterances:
        started = ends[speaker] + pause + 0.9
        ends[speaker] = started + length
        exact[speaker] += length
        facts += [
            (started + 0.1, SpeechStarted(started, speaker)),
            (ends[speaker] + 0.9, SpeechEnded(ends[speaker], speaker, started)),
        ]
    facts.sort(key=lambda fact: fact[0])
    times, said = joined(*"abc"), dict.fromkeys("abc", 0.0)
    for tenth in range(1, round(max(ends.values()) * 10) + 30):
        while facts and facts[0][0] <= tenth / 10:
            list(times.push(facts.pop(0)[1]))
        for event in times.tick(tenth / 10):
            now = {speaker: talk.seconds for speaker, talk in event.speakers.items()}
            assert all(said[speaker] <= now[speaker] <= event.at + 1e-3 for speaker in "abc")
            assert sum(talk.share for talk in event.speakers.values()) == pytest.approx(
                1.0 if any(now.values()) else 0.0, abs=2e-4
            )
            said = now
    assert said == pytest.approx(exact, abs=6e-4)


def test_the_last_unfinished_second_is_told_when_the_room_closes():
    times = joined("ada")
    says(times, "ada", 0.5, 2.25)
    list(times.tick(2.0))
    (last,) = times.close(2.5)
    assert (last.at, last.speakers["ada"].seconds) == (2.5, 1.75)
    assert TalkTimes().close(9.0) == []
