"""The section `coaching`: what it needs, and that rules are checked before anything starts."""

import pytest

from worker.config import settle
from worker.errors import ConfigError

ROOM = {"room": {"kind": "embedded"}}


def test_it_is_off_unless_it_is_asked_for():
    assert settle(ROOM).coaching is None


def test_packs_are_named_with_their_limits():
    section = {"rules": ["sales"], "per_hour": "4", "managers": True}
    assert settle(ROOM | {"coaching": section}).coaching == {"rules": ["sales"], "per_hour": 4, "managers": True}


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"coaching": {}}, "coaching.rules is missing"),
        ({"coaching": {"rules": ["sale"]}}, "coaching: there is no pack of rules 'sale'; did you mean sales?"),
        ({"coaching": {"rules": ["sales"], "per_hours": 1}}, "coaching.per_hours is not a known setting"),
        ({"coaching": {"rules": ["sales"], "per_hour": 0}}, "coaching: per_minute and per_hour must be 1 or more"),
        ({"coaching": {"rules": ["sales"]}, "conversation": []}, "add 'kind: dynamics' to conversation"),
        ({"coaching": {"rules": ["sales"], "band": [0.6, 0.4]}}, "coaching: band must be two shares, the lower first"),
        ({"coaching": {"rules": ["sales"], "conversation": 1}}, "coaching.conversation is not a known setting"),
    ],
)
def test_a_mistake_is_one_sentence(fields, sentence):
    with pytest.raises(ConfigError) as caught:
        settle(ROOM | fields)
    assert sentence in str(caught.value)
