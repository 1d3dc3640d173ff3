"""A room that is lost and found again, with written rooms and a written clock."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consenting import recorded
from tests.fakes import NOON
from worker.audio import RATE, AudioChunk
from worker.conversation.talk_time import TalkTimes
from worker.envelope import Numbering
from worker.errors import ConfigError, RoomError
from worker.events import (
    RoomClosed,
    RoomInterrupted,
    SpeakerJoined,
    SpeakerLeft,
    SpeakerMuted,
    SpeakerUnmuted,
    SpeechEnded,
    SpeechStarted,
    TalkTime,
)
from worker.rooms import ListenerJoined, Tick
from worker.rooms import rejoining as module
from worker.rooms.rejoining import FINAL, LONGEST_PAUSE_S, PASSING, TRIES, Rejoining
from worker.session import Session

LOST = RoomError("The server is gone: joining again.", "signalling_lost")


def chunk(speaker, start, seconds=0.25):
    return AudioChunk(speaker, start, np.zeros(int(seconds * RATE), np.float32))


class World:
    """A clock that only what is written moves, and the rooms that `Rejoining` is given one after the other."""

    def __init__(self, *scripts, chance=0.5):
        self.time, self.pauses, self.made = 100.0, [], []
        self.scripts, self.chance = list(scripts), chance

    def __call__(self):
        script = self.scripts.pop(0) if self.scripts else []
        if isinstance(script, Exception):
            raise script
        self.made.append(Written(self, script))
        return self.made[-1]

    async def sleep(self, seconds):
        self.pauses.append(seconds)
        self.time += seconds
        await asyncio.sleep(0)

    def room(self, **options):
        return Rejoining(self, lambda: self.time, self.sleep, lambda: self.chance, **options)

    async def heard(self, **options):
        """Everything that came, and with what it ended."""
        room, items = self.room(**options), []
        try:
            async with asyncio.timeout(10):
                async for item in room:
                    items.append(item)
        except RoomError as error:
            return items, error.code
        finally:
            await room.close()
        return items, None


class Written:
    """Gives what is written: a number lets that many seconds pass, an exception is raised, an Event is waited for."""

    lockstep = False

    def __init__(self, world, script):
        self.world, self.script, self.zero = world, script, world.time
        self.name, self.started = "away", NOON + timedelta(seconds=world.time)
        self.sent, self.closed, self.stuck = [], 0, asyncio.Event()

    async def __aiter__(self):
        for item in self.script:
            await asyncio.sleep(0)
            if isinstance(item, Exception):
                raise item
            if isinstance(item, float):
                self.world.time += item
            elif isinstance(item, asyncio.Event):
                await item.wait()
            elif callable(item):
                yield item(self.world.time - self.zero)
            else:
                yield item

    async def send(self, message, to=None):
        self.sent.append(message)
        return True

    async def close(self):
        self.closed += 1

    def counts(self, name):
        return {"decoded": len(self.script)} if name == "undertone_packets" else {}


def joined(speaker, generation=1):
    return lambda at: SpeakerJoined(at, speaker, speaker.title(), generation)


async def test_after_a_loss_the_same_people_are_there_on_the_same_clock():
    world = World(
        [joined("ada"), 1.0, Tick, lambda at: chunk("ada", at), 2.0, LOST],
        [joined("ada"), joined("ben"), 1.0, Tick, lambda at: chunk("ada", at - 0.25)],
    )
    items, end = await world.heard()
    assert end is None
    gone, ticks, back = 3.0, [3.25], 3.25  # half of the first pause, which is half a second at most
    assert items[3:] == [
        SpeakerLeft(gone, "ada", "signalling_lost"),
        *map(Tick, ticks),
        RoomInterrupted(back, back - gone, "signalling_lost", 1),
        SpeakerJoined(back, "ada", "Ada", 2),
        SpeakerJoined(back, "ben", "Ben", 1),
        Tick(back + 1),
        items[-3],
        SpeakerLeft(back + 1, "ada", "closed"),
        SpeakerLeft(back + 1, "ben", "closed"),
    ]
    assert (items[2].start, items[-3].start) == (1.0, back + 0.75)
    assert world.made[0].closed


async def test_the_first_room_is_passed_on_as_it_is():
    said = [SpeakerJoined(0.0, "ada", "Ada"), SpeakerMuted(1.0, "ada"), SpeakerUnmuted(2.0, "ada"), ListenerJoined("x")]
    sound = chunk("ada", 2.0)
    items, _ = await World([*said, sound, Tick(3.0), SpeakerLeft(3.0, "ada")]).heard()
    assert items == [*said, sound, Tick(3.0), SpeakerLeft(3.0, "ada")]


@pytest.mark.parametrize("code", sorted(FINAL))
async def test_some_ends_are_ends(code):
    items, end = await World([joined("ada"), RoomError("No.", code)], [joined("ada")]).heard()
    assert end == code
    assert items[-1] == SpeakerLeft(0.0, "ada", code)


@pytest.mark.parametrize("code", ["not_janus", "room_not_found"])
async def test_an_address_that_was_never_right_is_the_end_and_one_that_was_is_not(code):
    wrong = RoomError("No.", code)
    assert await World([wrong], [joined("ada")]).heard() == ([], code)
    items, end = await World([joined("ada"), LOST], [wrong], [wrong], [joined("ada")]).heard()
    assert end is None
    assert [(i.reason, i.attempts) for i in items if isinstance(i, RoomInterrupted)] == [("signalling_lost", 3)]


@pytest.mark.parametrize("code", sorted(PASSING))
async def test_a_room_that_stays_missing_or_a_stay_that_lingers_is_the_end_after_a_while(code):
    met = [[RoomError("No.", code)]]
    world = World([joined("ada"), LOST], *met * (TRIES + 5))
    assert (await world.heard())[1] == code
    assert len(world.made) == 1 + TRIES
    assert (await World([joined("ada"), LOST], *met * (TRIES - 1), [joined("ada")]).heard())[1] is None


async def test_whoever_takes_our_place_keeps_it():
    items, end = await World([joined("ada"), LOST], [joined("ada"), RoomError("Taken.", "duplicate")], [Tick]).heard()
    assert (end, items[-1].reason) == ("duplicate", "duplicate")


async def test_a_server_that_is_not_there_yet_is_waited_for():
    away = RoomError("Nobody answers.", "unreachable")
    items, end = await World([away], [away], [joined("ada")]).heard()
    assert end is None
    assert not [item for item in items if isinstance(item, RoomInterrupted)]  # nobody had been heard before
    assert any(isinstance(item, SpeakerJoined) for item in items)


async def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_room():
    lost = [[LOST]] * 9
    world = World([Tick, LOST], *lost, [Tick, 60.0, Tick, LOST], [LOST], [Tick], chance=1.0)
    pauses, before = [], 0

    def noted():
        nonlocal before
        pauses.append(sum(world.pauses[before:]))
        before = len(world.pauses)
        return 1.0

    room = Rejoining(world, lambda: world.time, world.sleep, noted)
    assert [item async for item in room]
    assert pauses[1:] == [0.5, 1, 2, 4, 8, 16, 30, 30, 30, LONGEST_PAUSE_S, 0.5]
    assert max(world.pauses) <= module.TICK_S


async def test_a_room_that_is_lost_at_once_each_time_does_not_begin_anew():
    world = World(*[[Tick, 1.0, LOST]] * 6, [Tick], chance=1.0)
    items, _ = await world.heard()
    seconds = [item.seconds for item in items if isinstance(item, RoomInterrupted)]
    assert seconds == [0.5, 1, 2, 4, 8, 16]


async def test_the_clock_is_told_in_a_gap():
    items, _ = await World([LOST], [LOST], [LOST], [LOST], [Tick], chance=1.0).heard()
    ticks = [item.at for item in items]
    assert ticks == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 7.5]


async def test_a_secret_that_cannot_be_read_for_a_while_is_waited_for():
    items, end = await World([joined("ada"), LOST], ConfigError("It is empty."), [joined("ada")]).heard()
    assert end is None
    assert [item.attempts for item in items if isinstance(item, RoomInterrupted)] == [2]


def test_a_mistake_of_the_operator_shows_at_once():
    with pytest.raises(ConfigError):
        World(ConfigError("It is empty.")).room()


async def test_a_bug_is_no_trouble_of_the_platform():
    with pytest.raises(ZeroDivisionError):
        await World([joined("ada"), ZeroDivisionError()], [Tick]).heard()


async def test_nothing_is_heard_of_who_is_not_there():
    strays = [chunk("eve", 0.0), SpeakerLeft(0.0, "eve"), SpeakerMuted(0.0, "eve"), SpeakerUnmuted(0.0, "eve")]
    assert (await World(strays).heard())[0] == []
    items, _ = await World([joined("ada"), joined("ada")]).heard()
    assert [type(item) for item in items] == [SpeakerJoined, SpeakerLeft, SpeakerJoined, SpeakerLeft]
    assert [item.generation for item in items[::2]] == [1, 2]


async def test_who_listened_before_is_told_what_they_missed():
    world = World([ListenerJoined("ada"), LOST], [ListenerJoined("ada"), ListenerJoined("ben"), ListenerJoined("ada")])
    items, _ = await world.heard()
    assert [i for i in items if isinstance(i, ListenerJoined)] == [
        ListenerJoined("ada"),
        ListenerJoined("ada", behind=True),
        ListenerJoined("ben"),
        ListenerJoined("ada"),
    ]


async def test_messages_go_to_the_room_there_is():
    world = World([Tick, LOST], [Tick])
    room, sent = world.room(), []
    assert await room.send("early")
    async for _ in room:
        sent.append((room.state, await room.send("now")))
    assert sent == [("open", True), ("interrupted", False), ("open", True), ("open", True)]
    assert [one.sent for one in world.made] == [["early", "now"], ["now", "now"]]
    assert room.interruptions == {"signalling_lost": 1}
    assert room.counts("undertone_packets") == {"decoded": 3}
    await room.close()


async def test_what_is_told_of_a_room_is_told_while_it_is_there():
    room = World([]).room()
    assert (room.about, room.crowded) == ({}, False)
    room._room.about, room._room.crowded = {"feed": 7}, True
    assert (room.about, room.crowded) == ({"feed": 7}, True)
    await room._part()
    assert (room.about, room.crowded) == ({}, False)


async def test_closing_ends_a_pause_at_once():
    world = World([LOST])
    room = Rejoining(world, lambda: world.time, asyncio.sleep, lambda: 1.0)

    async def hear():
        return [item async for item in room]

    hearing = asyncio.create_task(hear())
    while room._pausing is None:
        await asyncio.sleep(0)
    await room.close()
    await asyncio.wait_for(hearing, 0.3)
    assert len(world.made) == 1


async def test_trouble_while_it_is_closed_is_no_trouble():
    gate = asyncio.Event()
    world = World([joined("ada"), gate, LOST], [Tick])
    room = world.room()
    items = aiter(room)
    await anext(items)
    await room.close()
    gate.set()
    assert [item async for item in items] == [SpeakerLeft(0.0, "ada", "signalling_lost")]
    assert len(world.made) == 1


@pytest.mark.parametrize("how", [RoomError("Twice.", "hung"), None])
async def test_a_lost_room_that_does_not_close_holds_nobody_up(monkeypatch, how):
    monkeypatch.setattr(module, "CLOSE_S", 0.01)

    class Clinging(Written):
        async def close(self):
            if how is not None:
                raise how
            await asyncio.Event().wait()

    world = World([joined("ada")])
    world.made.append(None)
    first = Clinging(world, [LOST])
    rooms = iter([first, Written(world, [joined("ada")])])
    room = Rejoining(lambda: next(rooms), lambda: world.time, world.sleep, lambda: 0.5)
    assert any(isinstance(item, SpeakerJoined) for item in [item async for item in room])


# -- any script -------------------------------------------------------------------------------------------------------

PEOPLE = st.sampled_from(["ada", "ben", "cleo"])
SKEW = st.floats(-3, 3)
"""How wrong an inner room's clock may be."""
ACTION = st.one_of(
    st.floats(0.01, 40),
    st.tuples(st.sampled_from(["join", "leave", "mute", "unmute", "sound"]), PEOPLE, SKEW),
    st.tuples(st.just("tick"), st.none(), SKEW),
    st.tuples(st.just("listener"), PEOPLE, SKEW),
)
ENDS = st.sampled_from([None, "signalling_lost", "hung", "media_lost", "unreachable", "room_not_found", "kicked"])
SCRIPTS = st.lists(st.tuples(st.lists(ACTION, max_size=12), ENDS), min_size=1, max_size=6)


def written(actions, end):
    script = []
    for action in actions:
        if isinstance(action, float):
            script.append(action)
            continue
        kind, who, skew = action
        make = {
            "join": lambda at, who=who: SpeakerJoined(at, who, who),
            "leave": lambda at, who=who: SpeakerLeft(at, who),
            "mute": lambda at, who=who: SpeakerMuted(at, who),
            "unmute": lambda at, who=who: SpeakerUnmuted(at, who),
            "sound": lambda at, who=who: chunk(who, at),
            "tick": lambda at, who=who: Tick(at),
            "listener": lambda at, who=who: ListenerJoined(who),
        }[kind]
        script.append(lambda at, make=make, skew=skew: make(max(0.0, at + skew)))
    return [*script, RoomError("Lost.", end)] if end else script


@given(SCRIPTS, st.floats(0, 0.99))
def test_whatever_happens_the_story_makes_sense(scripts, chance):
    world = World(*[written(*one) for one in scripts], chance=chance)
    items, _ = asyncio.run(world.heard())
    at, here, generations = 0.0, set(), {}
    for item in items:
        match item:
            case AudioChunk():
                assert item.speaker in here
                assert item.start >= 0
                continue
            case ListenerJoined():
                continue
            case SpeakerJoined():
                assert item.speaker not in here
                assert item.generation == generations.get(item.speaker, 0) + 1
                generations[item.speaker] = item.generation
                here.add(item.speaker)
            case SpeakerLeft():
                here.remove(item.speaker)
            case SpeakerMuted() | SpeakerUnmuted():
                assert item.speaker in here
            case RoomInterrupted():
                assert not here
                assert item.seconds >= 0
                assert item.attempts >= 1
        assert item.at >= at
        at = item.at
    assert not here
    assert all(room.closed for room in world.made)


class Talker:
    """A speaker for whom all sound is speech."""

    def __init__(self, speaker, _):
        self.id = speaker

    async def hear(self, sound):
        return [SpeechStarted(sound.start, self.id), SpeechEnded(sound.end, self.id, sound.start)]

    def stop(self, at):
        return []

    def tick(self, at):
        return []


class Told:
    def __init__(self):
        self.events = []

    def put(self, envelope):
        self.events.append(envelope.event)

    async def welcome(self, listener, behind):
        pass


@given(SCRIPTS)
def test_talk_time_is_what_was_heard_of_everyone_however_often_the_room_was_lost(scripts):
    world, told, passed = World(*[written(*one) for one in scripts]), Told(), []

    async def run():
        room = world.room()
        give = room._pass_on
        room._pass_on = lambda item: (passed.append(one) or one for one in give(item))
        session = Session(room, recorded(), Talker, [TalkTimes()], Numbering("away", 1, NOON), told)
        with suppress(RoomError):
            await session.run()
        assert session.dropped_s == 0

    asyncio.run(run())
    sums = {one.speaker: 0.0 for one in passed if isinstance(one, SpeakerJoined)}
    for one in passed:
        if isinstance(one, AudioChunk):
            sums[one.speaker] += one.end - one.start
    last = [event for event in told.events if isinstance(event, TalkTime)][-1:]
    assert {s: talk.seconds for event in last for s, talk in event.speakers.items()} == pytest.approx(sums, abs=0.002)
    assert isinstance(told.events[-1], RoomClosed)
    assert sum(isinstance(event, RoomInterrupted) for event in told.events) == sum(
        isinstance(one, RoomInterrupted) for one in passed
    )


AWAY = RoomError("Nothing answers there: join again.", "unreachable")


async def test_a_room_that_never_could_be_joined_is_given_up():
    world = World(*[[AWAY]] * 100)
    _, code = await world.heard(give_up_s=600.0)
    assert code == "gave_up"
    assert 600 <= world.time - 100 <= 600 + LONGEST_PAUSE_S


async def test_a_room_that_was_heard_once_is_not_given_up():
    world = World([Tick(0.0), AWAY], *[[AWAY]] * 100, [Tick(0.0)])
    _, code = await world.heard(give_up_s=600.0)
    assert (code, len(world.made)) == (None, 102)
    assert world.time - 100 > 600
