"""Reads an audit log again, and says where it is no longer what was written."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.privacy.audit import LONGEST, NAME, START, VERSION, Entry, Head, is_sealed, is_whole, read

MOST = 1000
"""Findings that are kept; more say nothing new."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that no crash explains."""

    code: str
    """`unreadable`, `edited`, `missing`, `repeated`, `reordered`, `replaced`, `opening`, `cut` or `head`."""
    place: str
    """The file, and the line where there is one."""
    sentence: str


@dataclass(slots=True)
class Report:
    """What was found; `notes` are what a crash explains, and what could not be told."""

    entries: int = 0
    first: int = 0
    last: Entry | None = None
    log: str = ""
    sealed: bool = False
    """Whether the log says that its heads are signed."""
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Verifier:
    """Takes the files of a log in their order, oldest first, line by line; then `end` compares with the head."""

    def __init__(self, head: Head | None) -> None:
        self.report = Report()
        self._head = head
        self._at_head: str | None = None
        """Hash of the entry that has the head's number."""
        self._torn = ""
        """Place of a line that was not finished."""

    def file(self, name: str, lines: Iterable[bytes]) -> None:
        """`lines` with their line breaks; one without may only be the last."""
        opening = True
        for number, line in enumerate(lines, 1):
            place = f"{name}, line {number}"
            if self._torn:
                self._found("unreadable", self._torn, "the line was not finished, and others follow.")
                self._torn = ""
            if not line.endswith(b"\n") and len(line) < LONGEST:
                self._torn = place
                continue
            self._line(place, line[:-1], opening)
            opening = False
        if opening:
            self._found("opening", name, "there is no whole line in this file.")

    def end(self, key: bytes = b"") -> Report:
        """Compare with the head, and with `key` the head's signature."""
        report, head = self.report, self._head
        if head is None:
            if report.last is None or report.last.kind != "audit.rotated":
                self._found("head", "the head", "it is missing or unreadable, so entries may be missing at the end.")
        else:
            self._compare(head, key)
        if self._torn:
            report.notes.append(f"{self._torn}: the last line was not finished, as a crash leaves it.")
        return report

    def _compare(self, head: Head, key: bytes) -> None:
        report = self.report
        last = report.last.seq if report.last is not None else 0
        if head.log != report.log:
            self._found("head", "the head", "it belongs to another log.")
        elif last < head.seq:
            torn = " and the last line is not whole" if self._torn else ""
            self._found("cut", "the end", f"entries {last + 1} to {head.seq} are missing{torn}.")
        elif self._at_head != head.hash:
            self._found("head", "the head", f"entry {head.seq} is not the one that the head knows.")
        elif last > head.seq:
            report.notes.append(
                f"{last - head.seq} entries follow the sealed one, as after a crash, or if the head is an older copy."
            )
        if key and not is_sealed(head, key):
            self._found("head", "the head", "it was not signed with this key.")
        elif not key and (report.sealed or head.mac):
            report.notes.append("The head's signature was not checked: give the key.")
        elif not report.sealed:
            report.notes.append("The log was kept without a key: who may write its files can write all of them anew.")

    def _line(self, place: str, line: bytes, opening: bool) -> None:
        entry = read(line)
        if entry is None:
            self._found("unreadable", place, "this is no entry.")
            return
        if not is_whole(line):
            self._found("edited", place, f"entry {entry.seq} is not what was written.")
        if opening:
            self._opening(place, entry)
        elif entry.kind == "audit.opened":
            self._found("opening", place, "a log begins within a file.")
        self._follows(place, entry)
        report = self.report
        report.entries += 1
        report.first = report.first or entry.seq
        report.last = entry
        if self._head is not None and entry.seq == self._head.seq:
            self._at_head = entry.hash

    def _opening(self, place: str, entry: Entry) -> None:
        fields, report = entry.fields, self.report
        if entry.kind != "audit.opened" or fields.get("name") != NAME or not isinstance(fields.get("log"), str):
            self._found("opening", place, "the file does not begin as a log does.")
            return
        if fields.get("version") != VERSION:
            self._found("opening", place, "another version of Undertone wrote this file: verify it with that one.")
        if report.log and fields["log"] != report.log:
            self._found("opening", place, "this file belongs to another log.")
        report.log = report.log or fields["log"]
        report.sealed = report.sealed or fields.get("sealed") is True

    def _follows(self, place: str, entry: Entry) -> None:
        before = self.report.last
        if before is None:
            if entry.seq > 1:
                self.report.notes.append(f"Entries 1 to {entry.seq - 1} are in earlier files, which were not given.")
            elif entry.seq != 1 or entry.prev != START:
                self._found("missing", place, "this is not how a log begins.")
            return
        seq, digest = before.seq, before.hash
        if entry.seq == seq and entry.hash == digest:
            self._found("repeated", place, f"entry {seq} stands here again.")
        elif entry.seq <= seq:
            self._found("reordered", place, f"entry {entry.seq} stands after entry {seq}.")
        elif entry.seq > seq + 1:
            between = f"entry {seq + 1} is" if entry.seq == seq + 2 else f"entries {seq + 1} to {entry.seq - 1} are"
            self._found("missing", place, f"{between} missing before entry {entry.seq}.")
        elif entry.prev != digest:
            self._found("replaced", place, f"entry {seq}, before this one, is not the one that was written.")

    def _found(self, code: str, place: str, sentence: str) -> None:
        if len(self.report.findings) < MOST:
            self.report.findings.append(Finding(code, place, sentence))
