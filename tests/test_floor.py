"""Who gets the floor and when that is decided; whole conversations are in test_dynamics."""

from worker.conversation.floor import Floor
from worker.conversation.turns import TurnRules
from worker.events import BackChannel, Interrupted, Overlapped, TurnEnded, TurnStarted

RULES = TurnRules()


def floor_of(*speakers, rules=RULES):
    floor = Floor(rules)
    for number, speaker in enumerate(speakers):
        floor.start(float(number), speaker)
    return floor


def test_the_floor_is_given_after_a_second_of_speech_and_from_its_start_on():
    floor = floor_of("ada")
    assert floor.advance(0.99) == []
    assert floor.advance(1.0) == [TurnStarted(0.0, "ada", None, None)]
    assert floor.run_s(1.0) == 1.0


def test_a_turn_ends_where_its_pause_began_once_it_exceeds_the_bridge():
    floor = floor_of("ada")
    floor.stop(5.0, "ada")
    assert floor.advance(6.99) == []
    assert floor.run_s(6.99) == 5.0
    assert floor.advance(7.0) == [TurnEnded(5.0, "ada", 0.0)]
    assert floor.run_s(7.0) == 0.0


def test_an_interruption_is_decided_a_second_and_a_half_after_it_began():
    floor = floor_of("ada")
    floor.start(3.0, "bo")
    floor.stop(3.8, "ada")
    assert floor.advance(4.0) == [TurnEnded(3.8, "ada", 0.0), TurnStarted(3.0, "bo", "ada", 0.0)]
    assert floor.advance(4.49) == []
    (cut,) = floor.advance(4.5)
    assert (cut.speaker, cut.by, cut.at) == ("ada", "bo", 3.0)


def test_a_back_channel_is_decided_when_it_ends():
    floor = floor_of("ada")
    floor.start(3.0, "bo")
    (found,) = floor.stop(3.5, "bo")
    assert found == BackChannel(3.0, "bo", "ada", 0.5)


def test_an_overlap_is_decided_as_soon_as_it_can_be_nothing_else():
    late = floor_of("ada")
    late.start(3.0, "bo")
    assert late.stop(5.0, "ada") == [Overlapped(3.0, "bo", "ada", 2.0)]
    early = Floor(RULES)
    for at, speaker in ((0.0, "ada"), (0.5, "bo")):
        early.start(at, speaker)
    assert early.stop(1.25, "ada") == [TurnStarted(0.0, "ada", None, None)]
    assert early.advance(2.0)[-1] == Overlapped(0.5, "bo", "ada", 0.75)


def test_what_ended_while_the_holder_went_on_is_no_part_of_a_later_turn():
    floor = floor_of("ada")
    floor.start(3.0, "bo")
    floor.stop(3.9, "bo")
    floor.stop(4.2, "ada")
    floor.start(4.5, "bo")
    said = floor.advance(5.5)
    assert said[-1] == TurnStarted(4.5, "bo", "ada", 4.5 - 4.2)


def test_the_gap_is_not_known_when_the_room_was_not_heard_in_between():
    floor = floor_of("ada")
    floor.stop(5.0, "ada")
    floor.leave("ada", heard=False)
    floor.start(60.0, "bo")
    assert floor.advance(61.0)[-1] == TurnStarted(60.0, "bo", "ada", None)
    floor.stop(62.0, "bo")
    floor.start(62.5, "ada")
    assert floor.advance(64.0)[-1] == TurnStarted(62.5, "ada", "bo", 0.5)


def test_closing_ends_the_turn_under_way():
    floor = floor_of("ada")
    assert floor.close(4.0) == [TurnStarted(0.0, "ada", None, None), TurnEnded(4.0, "ada", 0.0)]


def test_the_numbers_are_settings():
    floor = floor_of("ada", rules=TurnRules(take_floor_s=0.5, overlap_s=0.2, interruption_s=0.8, yields_s=0.4))
    floor.start(2.0, "bo")
    floor.stop(2.3, "ada")
    assert [type(event) for event in floor.advance(3.0)] == [TurnEnded, TurnStarted, Interrupted]
