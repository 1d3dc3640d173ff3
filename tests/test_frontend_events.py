"""The page's folding of events, run by Node from written patterns."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import require

MODULE = Path(__file__).parent.parent / "frontend_demo" / "events.js"

FOLD = """
const { cue, empty, fold, mood, trendLines, trendWord } = await import(process.argv[1]);
const state = JSON.parse(process.argv[2]).reduce(fold, empty);
const drawn = (trend, what) => ({ lines: trendLines(trend, state.at, what), word: trendWord(trend, state.at, what) });
const derived = ({ trend }) => ({ ...drawn(trend), pleasantness: drawn(trend, "valence") });
const show = ([id, one]) => [id, { ...one, mood: mood(one, state.at), cue: cue(one, state.at), ...derived(one) }];
console.log(JSON.stringify({ ...state, speakers: Object.fromEntries(Object.entries(state.speakers).map(show)) }));
"""


def folded(*messages: dict[str, Any]) -> dict[str, Any]:
    command = [require("node"), "--input-type=module", "-e", FOLD, MODULE.as_uri(), json.dumps(messages)]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def envelope(kind: str, seq: int, at: float = 0, epoch: int = 1, **data: Any) -> dict[str, Any]:
    return {"type": f"io.undertone.{kind}", "seq": seq, "epoch": epoch, "data": {"at": at, **data}}


def estimate(
    seq: int, at: float, arousal: float | None, confidence: float = 0.8, epoch: int = 1, **more: Any
) -> dict[str, Any]:
    told: dict[str, Any] = {"arousal": arousal, "confidence": confidence, "provisional": False, **more}
    return envelope("emotion.estimated.v1", seq, at, epoch, speaker="p1", **told)


def snapshot(seq: int, at: float = 0, epoch: int = 1, **p1: Any) -> dict[str, Any]:
    one = {"name": "Ada", "generation": 1, "analysed": True, "present": True, "muted": False, "speaking": False}
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
    assert folded(snapshot(5, analysed=False))["speakers"]["p1"]["mood"]["word"] == "off"


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
    back = envelope("speaker.joined.v1", 7, 2, speaker="p1", name="Ada", generation=2, analysed=True)
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
