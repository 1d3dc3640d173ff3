"""Packets that can't be used are told of in the log, and do not fill it."""

from structlog.testing import capture_logs

from worker.rooms.complaints import PAUSE_S, Complaint


def said(looks):
    """What is logged when a complaint looks at (corrupt packets so far, seconds)."""
    complaint = Complaint()
    with capture_logs() as entries:
        for corrupt, now in looks:
            complaint.look("p1", {"decoded": 500, "lost": 3, "corrupt": corrupt}, now)
    return [(entry["speaker"], entry["corrupt"], entry["refused"]) for entry in entries]


def test_packets_that_are_used_or_lost_are_no_complaint():
    assert said([(0, n) for n in range(100)]) == []


def test_many_are_told_of_once_and_again_when_more_have_come():
    flood = [(n, n * 0.02) for n in range(1000)]  # 20 s
    assert said(flood) == [("p1", 1, 0), ("p1", 501, 0)]


def test_no_news_is_no_complaint():
    assert said([(5, 0.0), (5, 2 * PAUSE_S)]) == [("p1", 5, 0)]
