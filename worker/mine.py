"""What a participant may do with their own data while a room is open: take it with them, and have it erased."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from worker.assembly import Worker
from worker.config import Settings
from worker.data.configured import stores
from worker.data.memory import MemoryStore
from worker.data.person import Census, Whom
from worker.data.requests import PARTICIPANT, copy_of, erasure_of
from worker.data.stores import Store
from worker.ops.audit import Audit
from worker.ops.http import Server
from worker.ops.tokens import Pass
from worker.privacy.consent import Consent
from worker.privacy.keeping import Keeping
from worker.privacy.levels import Level
from worker.privacy.policy import Policy
from worker.registry import construct

VERB = "me"
PAUSE_S = 5.0


class Mine:
    """Serves `/v1/rooms/{room}/me` to who bears a participant's token: GET gives out, DELETE erases.

    Each takes reading everything that is kept, so that each person may ask for each once in `PAUSE_S`, and everyone
    waits for who asked before. `forget` is told of who was erased.
    """

    def __init__(
        self,
        settings: Settings,
        server: Server,
        audit: Audit | None,
        worker: Worker,
        policy: Policy,
        forget: Callable[[str], None] = lambda speaker: None,
    ) -> None:
        self._settings, self._server, self._audit = settings, server, audit
        self._worker, self._policy, self._forget = worker, policy, forget
        self._room, self._epoch = worker.snapshot.room, worker.snapshot.epoch
        self._asked: dict[tuple[str, str], float] = {}
        """When somebody asked for this, on the loop's clock; what is longer ago than `PAUSE_S` is dropped."""
        self._alone = asyncio.Lock()

    def mount(self) -> None:
        self._server.mount(self._room, VERB, self._answer)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        holder = self._server.holder(request, self._room, self._epoch)
        if holder is None:
            raise web.HTTPUnauthorized(text="Send a participant's token as 'Authorization: Bearer …'.")
        answer = {"GET": self._give, "DELETE": self._erase}.get(request.method)
        if answer is None:
            raise web.HTTPMethodNotAllowed(request.method, ["GET", "DELETE"])
        self._pace(request.method, holder.speaker)
        async with self._alone:
            return await answer(holder)

    def _pace(self, method: str, speaker: str) -> None:
        """Raises the refusal for who asks for the same again too soon."""
        now = asyncio.get_running_loop().time()
        self._asked = {asked: at for asked, at in self._asked.items() if now - at < PAUSE_S}
        if (method, speaker) in self._asked:
            raise web.HTTPTooManyRequests(text=f"You asked for this just now: ask again in {PAUSE_S:g} s.")
        self._asked[method, speaker] = now

    async def _give(self, holder: Pass) -> web.Response:
        now, choose = datetime.now(UTC), partial(self._whom, holder.speaker)
        copy = await copy_of(self._stores(), self._room, choose, now, PARTICIPANT, self._audit)
        document = copy.document | {"consent": self._consent(holder.speaker)}
        text = json.dumps(document, indent=2, ensure_ascii=False)
        headers = {"Content-Disposition": 'attachment; filename="undertone-my-data.json"'}
        return web.Response(text=text, content_type="application/json", headers=headers)

    async def _erase(self, holder: Pass) -> web.Response:
        """Nothing new is made of who wants nothing kept: their yes is taken back first."""
        if isinstance(self._policy, Consent):
            self._policy.record(holder.speaker, Level.PRESENCE, "page")
        now, choose = datetime.now(UTC), partial(self._whom, holder.speaker)
        receipt = await erasure_of(self._stores(), self._room, choose, now, PARTICIPANT, self._audit)
        if receipt.complete:
            self._forget(holder.speaker)
        return web.json_response(receipt.as_dict(), status=200 if receipt.complete else 503)

    def _whom(self, speaker: str, census: Census) -> Whom:
        return census.whom(speaker, [self._epoch])

    def _consent(self, speaker: str) -> dict[str, str]:
        if not isinstance(self._policy, Consent):
            return {}
        standing, terms = self._policy.standing(speaker), self._policy.terms
        said = {"state": standing.state.value, "agreed": standing.agreed.word}
        return {**said, "level": self._policy.level(speaker).word, "purpose": terms.purpose, "text": terms.text}

    def _stores(self) -> list[Store]:
        """What is in memory comes first, so that nothing is written behind the others."""
        keeping: Keeping = construct(Keeping, self._settings.keeping, "keeping")
        kept = stores(self._settings, self._room, keeping.seal)
        return [MemoryStore(self._worker.fanout), *kept]
