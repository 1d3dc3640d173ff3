"""Keeps a room's record up to date in memory, as one more listener."""

from worker.envelope import Envelope
from worker.report.meeting import Meeting


class Keeper:
    """A sink. With `prompts` the record holds what people were told; without, nobody's prompts reach it."""

    def __init__(self, room: str, epoch: int, prompts: bool) -> None:
        self.meeting = Meeting(room, epoch)
        self.open = True
        self.private = prompts

    async def send(self, envelope: Envelope) -> None:
        self.meeting.fold(envelope.as_dict())

    async def close(self) -> None:
        self.open = False
