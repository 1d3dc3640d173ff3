"""Log lines: structured, and without names or passwords."""

import json
import logging

import pytest
import structlog

from worker.ops import logs

pytestmark = pytest.mark.usefixtures("logging_as_before")


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_json_has_one_object_per_line(capsys):
    logs.setup(format="json")
    structlog.get_logger().info("participant joined", speaker="p1")
    [line] = lines(capsys)
    assert (line["event"], line["speaker"], line["level"]) == ("participant joined", "p1", "info")
    assert line["timestamp"].endswith("Z")


def test_personal_fields_are_left_out_unless_wanted(capsys):
    logs.setup(format="json")
    structlog.get_logger().info("joined", pii_name="Ada")
    logs.setup(format="json", pii=True)
    structlog.get_logger().info("joined", pii_name="Ada")
    without, kept = lines(capsys)
    assert "pii_name" not in without
    assert kept["pii_name"] == "Ada"


@pytest.mark.parametrize("format", ["json", "text"])
def test_credentials_are_taken_out_of_addresses(capsys, format):
    logs.setup(format=format)
    try:
        raise ValueError("rediss://me:hunter2@host/0 is wrong")
    except ValueError:
        structlog.get_logger().exception("failed at redis://me:hunter2@host", url="redis://:hunter2@host:1/0")
    text = capsys.readouterr().err
    assert "hunter2" not in text
    assert "***@host" in text


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_trace_does_not_show_the_values_of_variables(capsys, format):
    logs.setup(format=format)
    secret = "hunter2"
    try:
        raise ValueError(len(secret))
    except ValueError:
        structlog.get_logger().exception("failed")
    text = capsys.readouterr().err
    assert "ValueError: 7" in text
    assert secret not in text.replace('secret = "hunter2"', "")


def test_the_level_holds_for_us_and_for_libraries(capsys):
    logs.setup(level="warning", format="json")
    structlog.get_logger().info("quiet")
    logging.getLogger("aiohttp").info("quiet")
    logging.getLogger("aiohttp").warning("loud %s", "one")
    assert [line["event"] for line in lines(capsys)] == ["loud one"]


def test_libraries_that_name_addresses_speak_of_trouble_only(capsys):
    logs.setup(level="info", format="json")
    logging.getLogger("aioice.ice").info("Could not reach 10.1.2.3")
    assert lines(capsys) == []
