"""The page's folding of events, run by Node from written patterns."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import in_node

MODULE = Path(__file__).parent.parent / "frontend_demo" / "events.js"

FOLD = """
const { cue, empty, fold, manner, mood, trendLines, trendWord } = await import(process.argv[1]);
const state = JSON.parse(process.argv[2]).reduce(fold, empty);
const drawn = (trend, what) => ({ lines: trendLines(trend, state.at, what), word: trendWord(trend, state.at, what) });
const derived = ({ trend }) => ({ ...drawn(trend), pleasantness: drawn(trend, "valence") });
const said = (one) => ({ mood: mood(one, state.at), cue: cue(one, state.at), manner: manner(one) });
const show = ([id, one]) => [id, { ...one, ...said(one), ...derived(one) }];
console.log(JSON.stringify({ ...state, speakers: Object.fromEntries(Object.entries(state.speakers).map(show)) }));
"""


def folded(*messages: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = in_node(FOLD, MODULE.as_uri(), json.dumps(messages))
    return result


def envelope(kind: str, seq: int, at: float = 0, epoch: int = 1, **data: Any) -> dict[str, Any]:
    return {"type": f"io.undertone.{kind}", "seq": seq, "epoch": epoch, "data": {"at": at, **data}}


def estimate(
    seq: int, at: float, arousal: float | None, confidence: float = 0.8, epoch: int = 1, **more: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {"arousal": arousal, "confidence": confidence, "provisional": False, **more}
    return envelope("emotion.estimated.v1", seq, at, epoch, speaker="p1", **told)


def snapshot(seq: int, at: float = 0, epoch: int = 1, **p1: Any) -> dict[str, Any]:
    one = {"name": "Ada", "generation": 1, "level": "emotion", "present": True, "muted": False, "speaking": False}
    speakers = {"p1": {**one, "talk": {"seconds": 0, "share": 0}, "emotion": None, **p1}}
    return envelope("snapshot.v1", seq, at, epoch, speakers=speakers)


def test_what_the_snapshot_holds_already_is_not_told_twice() -> None:
    state = folded(snapshot(5, speaking=True), envelope("speech.ended.v1", 5, speaker="p1"))
    assert state["speakers"]["p1"]["speaking"]
    assert state["missed"] == 0


def test_a_voice_starts_and_stops() -> None:
    start = envelope("speech.started.v1", 6, 1, speaker="p1")
    assert folded(snapshot(5), start)["speakers"]["p1"]["speaking"]
    stopped = folded(snapshot(5), start, envelope("speech.ended.v1", 7, 2, speaker="p1", started=1))
    assert not stopped["speakers"]["p1"]["speaking"]
    assert stopped["at"] == 2


def test_a_silent_hole_and_an_announced_gap_are_counted_alike() -> None:
    late = envelope("speech.started.v1", 9, 3, speaker="p1")
    gap = envelope("gap.v1", 8, 3, from_seq=6, to_seq=8)
    for state in (folded(snapshot(5), late), folded(snapshot(5), gap, late)):
        assert (state["missed"], state["missedAt"]) == (3, 3)


def test_a_new_run_of_the_worker_starts_over() -> None:
    state = folded(snapshot(50), estimate(51, 1, 0.5), snapshot(2, epoch=2), estimate(3, 1, 0.1, epoch=2))
    assert (state["seq"], state["epoch"], state["missed"]) == (3, 2, 0)
    assert len(state["speakers"]["p1"]["trend"]) == 1
    assert folded(snapshot(2, epoch=2), estimate(9, 1, 0.1))["seq"] == 2


def test_talk_time_reaches_its_speaker_and_unknown_events_do_no_harm() -> None:
    talk = {"p1": {"seconds": 3.5, "share": 0.7}}
    state = folded(snapshot(5), envelope("talk_time.v1", 6, 9, speakers=talk), envelope("weather.v1", 7, 9))
    assert state["speakers"]["p1"]["talk"] == talk["p1"]
    assert state["seq"] == 7


@pytest.mark.parametrize(
    ("arousal", "confidence", "word", "certainty"),
    [
        (0.6, 0.9, "lively", "sure"),
        (-0.6, 0.5, "calm", "fairly"),
        (0.1, 0.2, "usual", "hardly"),
        (None, 0.9, "unsure", "unsure"),
    ],
)
def test_arousal_becomes_words(arousal: float | None, confidence: float, word: str, certainty: str) -> None:
    for label in ({}, {"label": None}, {"label": "word of a later worker"}):
        one = folded(snapshot(5), estimate(6, 1, arousal, confidence, **label))["speakers"]["p1"]
        assert one["mood"] == {"word": word, "certainty": certainty}


@pytest.mark.parametrize(
    ("label", "confidence", "certainty", "percent"),
    [
        ("neutral", 0.55, "hardly", 55),
        ("positive", 0.8499, "fairly", 80),
        ("tense", 0.85, "sure", 85),
        ("low", 1.0, "sure", 95),
    ],
)
def test_a_label_is_the_word_and_says_how_likely_it_is(
    label: str, confidence: float, certainty: str, percent: int
) -> None:
    heard = estimate(6, 1, 0.9, confidence, label=label, valence=-0.4)
    one = folded(snapshot(5), heard)["speakers"]["p1"]
    assert one["mood"] == {"word": label, "certainty": certainty, "percent": percent}
    assert (one["emotion"]["valence"], one["trend"]) == (-0.4, [{"at": 1, "arousal": 0.9, "valence": -0.4}])
    assert folded(snapshot(5, emotion=one["emotion"]))["speakers"]["p1"]["mood"] == one["mood"]


def test_a_label_needs_no_arousal_and_a_first_one_gives_no_figure() -> None:
    first = estimate(6, 1, None, 0.9, label="low", provisional=True)
    one = folded(snapshot(5), first)["speakers"]["p1"]
    assert one["mood"] == {"word": "low", "certainty": "provisional", "percent": None}


def test_an_engine_that_abstains_takes_the_label_back() -> None:
    mixed = envelope("emotion.abstained.v1", 7, 2, speaker="p1", reason="mixed")
    one = folded(snapshot(5), estimate(6, 1, 0.2, label="tense"), mixed)["speakers"]["p1"]
    assert one["mood"] == {"word": "mixed", "certainty": "mixed"}


def test_learning_abstaining_failing_and_refusing_have_words_of_their_own() -> None:
    def word(kind: str, reason: str) -> str:
        event = envelope(f"emotion.{kind}.v1", 6, 1, speaker="p1", reason=reason)
        return str(folded(snapshot(5), event)["speakers"]["p1"]["mood"]["word"])

    assert word("abstained", "learning") == "listening"
    assert word("abstained", "not_speech") == "listening"
    assert word("abstained", "unsure") == "unsure"
    assert word("unavailable", "engine_slow") == "unavailable"


def test_the_trend_is_the_last_minute_broken_by_silence() -> None:
    points = [(1, -1.0), (50, -0.5), (52, -0.5), (80, 0.5), (82, 1.0)]
    one = folded(snapshot(5), *(estimate(6 + n, at, value) for n, (at, value) in enumerate(points)))["speakers"]["p1"]
    assert [len(line) for line in one["lines"]] == [2, 2]
    assert one["lines"][-1][-1] == [1, 0]
    assert one["word"] == "rising"


@pytest.mark.parametrize(
    ("later", "speaking", "word"), [(9, False, "tense"), (11, False, "listening"), (11, True, "tense")]
)
def test_how_a_voice_sounded_is_over_ten_seconds_after_it(later: float, speaking: bool, word: str) -> None:
    talk = envelope("talk_time.v1", 7, 1 + later, speakers={})
    one = folded(snapshot(5, speaking=speaking), estimate(6, 1, 0.2, 0.9, label="tense"), talk)["speakers"]["p1"]
    assert one["mood"]["word"] == word


def test_who_comes_back_is_a_new_voice() -> None:
    back = envelope("speaker.joined.v1", 7, 2, speaker="p1", name="Ada", generation=2, level="emotion")
    one = folded(snapshot(5), estimate(6, 1, 0.2, label="tense"), back)["speakers"]["p1"]
    assert (one["emotion"], one["trend"], one["mood"]["word"]) == (None, [], "listening")


def test_pleasantness_has_a_line_of_its_own_where_the_engine_hears_it() -> None:
    heard = [(50, -0.5), (52, -0.5), (53, None), (54, 0.5), (56, 0.5)]
    told = [estimate(6 + n, at, 0.0, valence=value) for n, (at, value) in enumerate(heard)]
    one = folded(snapshot(5), *told)["speakers"]["p1"]
    assert [round(y, 2) for _, y in one["pleasantness"]["lines"][0]] == [0.75, 0.75, 0.25, 0.25]
    assert (one["pleasantness"]["word"], one["word"]) == ("rising", "steady")
    deaf = folded(snapshot(5), *(estimate(6 + n, at, 0.0) for n, (at, _) in enumerate(heard)))["speakers"]["p1"]
    assert deaf["pleasantness"] == {"lines": [], "word": "none"}


FIGURES = {
    "turns": 3,
    "run_s": 12.5,
    "silent_for_s": 0,
    "syllables_per_s": 4.1,
    "pace_change": 0.21,
    "loudness_change_db": -4.4,
    "pitch_spread_st": 3.0,
}
KNOWN = {"talk": {"p1": {"seconds": 3.5, "share": 0.7}}, "figures": {"p1": FIGURES}}


def about(seq: int) -> list[dict[str, Any]]:
    """Everything that can be said of a voice."""
    return [
        estimate(seq, 1, 0.5, label="tense"),
        envelope("speech.started.v1", seq + 1, 1, speaker="p1"),
        envelope("talk_time.v1", seq + 2, 1, speakers=KNOWN["talk"]),
        envelope("conversation.v1", seq + 3, 1, room={}, speakers=KNOWN["figures"]),
        envelope("interrupted.v1", seq + 4, 1, speaker="p1", by="p2", overlap_s=1),
    ]


def level(seq: int, word: str) -> dict[str, Any]:
    return envelope("speaker.analysed.v1", seq, 1, speaker="p1", analysed=word != "presence", level=word)


@pytest.mark.parametrize("word", ["presence", "metrics", "prosody", "emotion", "a level of a later worker"])
def test_what_needs_more_than_somebody_agreed_to_is_forgotten_and_never_known_if_it_comes_late(word: str) -> None:
    before = folded(snapshot(5), *about(6), level(11, word))["speakers"]["p1"]
    late = folded(snapshot(5), level(6, word), *about(7))["speakers"]["p1"]
    told = folded(snapshot(5, level=word), *about(6))["speakers"]["p1"]
    assert before == late == told
    felt, spoken, counted = (word in ("metrics", "prosody", "emotion")[n:] for n in (2, 1, 0))
    assert (before["emotion"] is not None, before["trend"] != []) == (felt, felt)
    figures = before["figures"] or {}
    manner = ("syllables_per_s", "pace_change", "loudness_change_db", "pitch_spread_st")
    assert [figures.get(name) for name in manner] == [FIGURES[name] if spoken else None for name in manner]
    assert (figures.get("turns"), before["talk"]["seconds"]) == ((3, 3.5) if counted else (None, 0))
    assert (before["speaking"], before["cutOff"] is not None) == (counted, counted)
    words = {"metrics": "talkOnly", "prosody": "measured", "emotion": "tense"}
    assert before["mood"]["word"] == words.get(word, "off")


def test_who_agrees_anew_begins_with_nothing() -> None:
    one = folded(snapshot(5), *about(6), level(11, "presence"), level(12, "emotion"))["speakers"]["p1"]
    assert (one["emotion"], one["trend"], one["figures"], one["talk"]["seconds"]) == (None, [], None, 0)


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({}, {"pace": 20, "loudness": -4}),
        ({"pace_change": -0.13, "loudness_change_db": 2.9}, {"pace": -15, "loudness": 0}),
        ({"pace_change": 0.09, "loudness_change_db": 0}, {"pace": 0, "loudness": 0}),
        ({"pace_change": None}, None),
        ({"silent_for_s": 11}, None),
    ],
)
def test_how_somebody_speaks_is_told_against_their_own_usual(
    figures: dict[str, Any], said: dict[str, int] | None
) -> None:
    measured = envelope("conversation.v1", 6, 9, room={}, speakers={"p1": FIGURES | figures})
    assert folded(snapshot(5), measured)["speakers"]["p1"]["manner"] == said
    assert folded(snapshot(5, level="metrics"), measured)["speakers"]["p1"]["manner"] is None


def test_figures_reach_their_speaker_and_the_room() -> None:
    figures = {"p1": {"run_s": 12.5, "recent_talk_share": 0.4}}
    measured = envelope("conversation.v1", 6, 9, window_s=300, room={"people": 2}, speakers=figures)
    state = folded(snapshot(5), measured)
    assert (state["speakers"]["p1"]["figures"], state["room"]) == (figures["p1"], {"people": 2})


@pytest.mark.parametrize(
    ("run_s", "speaking", "cut_off", "cue"),
    [
        (91, True, None, {"word": "long", "seconds": 91}),
        (90, True, None, None),
        (91, False, None, None),
        (91, True, 93, {"word": "cutOff", "by": "p2"}),
        (0, False, 92, None),
    ],
)
def test_a_cue_is_of_a_cut_or_a_long_run(
    run_s: float, speaking: bool, cut_off: float | None, cue: dict[str, Any] | None
) -> None:
    cuts = [] if cut_off is None else [envelope("interrupted.v1", 6, cut_off, speaker="p1", by="p2", overlap_s=1)]
    measured = envelope("conversation.v1", 7, 100, room={}, speakers={"p1": {"run_s": run_s}})
    assert folded(snapshot(5, speaking=speaking), *cuts, measured)["speakers"]["p1"]["cue"] == cue


def test_what_those_in_the_call_are_told_is_shown_without_a_number_among_the_others() -> None:
    here = {"generation": 1, "level": "emotion", "present": True}
    tone = estimate(1, 5.0, arousal=0.5, confidence=0.9) | {"audience": "participants"}
    state = folded(snapshot(7, 4.0, **here), tone, envelope("speech.started.v1", 8, 5.5, speaker="p1"))
    assert state["missed"] == 0
    assert state["speakers"]["p1"]["emotion"]["arousal"] == 0.5
    kept = folded(snapshot(7, 4.0, **here), tone, snapshot(9, 6.0, **here))
    assert kept["speakers"]["p1"]["emotion"]["arousal"] == 0.5
    for later in ({**here, "generation": 2}, {**here, "present": False}, {**here, "level": "metrics"}):
        assert folded(snapshot(7, 4.0, **here), tone, snapshot(9, 6.0, **later))["speakers"]["p1"]["emotion"] is None
    for other in ({**tone, "audience": "p2"}, {**tone, "epoch": 2}):
        assert folded(snapshot(7, 4.0, **here), other)["speakers"]["p1"]["emotion"] is None
