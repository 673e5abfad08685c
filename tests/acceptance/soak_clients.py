"""The clients of the soak: pipelines, large values, several keys at once, and going away without a word."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from random import Random

from .load import Connection, Failed, Ledger, Tally, connected, spell
from .outages import Outages

__all__ = ("SoakTally", "SoakWriter")

KEYS_EACH = 20
# Of each client's keys the first may be large, the next ones less so.
SIZES = (300 << 10,) * 2 + (10_000,) * 4 + (200,) * (KEYS_EACH - 6)
PIPELINE_MAX = 16
# The shares of the kinds of steps; the rest are single requests.
VANISHES, QUITS, PIPELINES = 0.01, 0.01, 0.1
# The timeout until the proxy has closed the connection of a client that has quit.
QUIT_TIMEOUT_S = 10
# The same for requests.
DELETES, SETS, GETS = 0.15, 0.25, 0.45


class SoakLedger(Ledger):
    """Knows too what is under way, and which misses are excused by what has happened to servers."""

    def __init__(self, prefix: str, tally: SoakTally) -> None:
        super().__init__((f"{prefix}-{i}" for i in range(KEYS_EACH)), tally)
        self.soak = tally
        # Of the last write that was acknowledged: how long it has to be there.
        self._marks: dict[str, int] = {}
        # Writes and their marks, by key. A read that asks the second copy may see one that was sent after it.
        self._under_way: dict[str, list[tuple[int | None, int]]] = {name: [] for name in self.allowed}

    def begin(self, key: str, sequence: int | None) -> None:
        self._under_way[key].append((sequence, self.soak.outages.mark()))

    def done(self, key: str, sequence: int | None) -> None:
        # Replies come in the order of the requests.
        _, self._marks[key] = self._under_way[key].pop(0)
        super().done(key, sequence)

    def unclear(self, key: str, sequence: int | None) -> None:
        self._under_way[key].pop(0)
        super().unclear(key, sequence)

    def possible(self, key: str) -> set[int | None]:
        return self.allowed[key].union(sequence for sequence, _ in self._under_way[key])

    def missed(self, key: str) -> None:
        super().missed(key)
        if not self.soak.outages.excuse(self._marks[key]):
            self.soak.lost.append(f"{key}: may be {self.allowed[key]}")

    def give_up(self, key: str) -> None:
        """It is unknown when its requests will be executed: another key takes its place."""
        if key in self.allowed:
            del self.allowed[key], self._under_way[key]
            prefix, number, *generation = key.split("-")
            another = f"{prefix}-{number}-{int(generation[0]) + 1 if generation else 1}"
            self.allowed[another], self._under_way[another] = {None}, []


class SoakTally(Tally):
    def __init__(self) -> None:
        super().__init__()
        self.outages = Outages()
        self.lost: list[str] = []  # missing although a server must have it
        self.kinds: Counter[str] = Counter()


@dataclass(frozen=True)
class Exchange:
    request: bytes
    take: Callable[[Connection], Awaitable[None]]  # reads the reply, and checks it
    written: str = ""  # the key


class SoakWriter:
    """One client, on one pair of connections after the other: what it says on one it sees on the other.

    They may be two threads' of the proxy, between which nothing orders the requests but that it awaits each.
    """

    def __init__(self, port: int, number: int, seed: int, tally: SoakTally) -> None:
        self.port = port
        self.rng = Random(f"{seed}/{number}")
        self.tally = tally
        self.ledger = SoakLedger(f"c{number}", tally)

    async def work(self, over: asyncio.Event, pause_s: float) -> None:
        try:
            async with connected(self.port) as client:
                await self._carry_out(client, self._largest())
        except OSError as error:
            self.tally.errors.append(error)
        while not over.is_set():
            try:
                async with connected(self.port) as one, connected(self.port) as two:
                    while not over.is_set() and await self._step(self.rng.choice((one, two))):
                        await asyncio.sleep(2 * pause_s * self.rng.random())
            except OSError as error:
                self.tally.errors.append(error)

    def _largest(self) -> list[Exchange]:
        """All clients' at the same time: the proxy's memory is soon what it may ever be."""
        keys = [key for key, size in zip(self.ledger.allowed, SIZES, strict=True) if size == max(SIZES)]
        return [*(self._set(key, max(SIZES)) for key in keys), *(self._get([key]) for key in keys)]

    async def _step(self, client: Connection) -> bool:
        """False when the connection is over."""
        choice = self.rng.random()
        if choice < VANISHES:
            self._vanish(client)
            return False
        if choice < VANISHES + QUITS:
            await self._quit(client)
            return False
        count = self.rng.randint(2, PIPELINE_MAX) if choice < VANISHES + QUITS + PIPELINES else 1
        exchanges = [self._exchange() for _ in range(count)]
        return await self._carry_out(client, exchanges)

    async def _carry_out(self, client: Connection, exchanges: list[Exchange]) -> bool:
        client.writer.write(b"".join(exchange.request for exchange in exchanges))
        started = asyncio.get_running_loop().time()
        for done, exchange in enumerate(exchanges):
            try:
                await exchange.take(client)
            except Failed as error:
                self.tally.errors.append(error)
            except (OSError, EOFError) as error:
                self.tally.errors.append(error)
                self._give_up(exchanges[done:])
                return False
            self.tally.count += 1
        self.tally.slowest = max(self.tally.slowest, asyncio.get_running_loop().time() - started)
        return True

    def _give_up(self, exchanges: Iterable[Exchange]) -> None:
        for exchange in exchanges:
            if exchange.written:
                self.ledger.give_up(exchange.written)

    def _vanish(self, client: Connection) -> None:
        """In the middle of a request, before its replies, or both."""
        self.tally.kinds["vanished"] += 1
        exchanges = [self._exchange() for _ in range(self.rng.randint(0, PIPELINE_MAX))]
        self._give_up(exchanges)
        part = b"set %s 0 0 100\r\nnot whole" % self.rng.choice(list(self.ledger.allowed)).encode()
        client.writer.write(
            b"".join(exchange.request for exchange in exchanges) + part[: self.rng.randint(0, len(part))]
        )
        client.writer.transport.abort()

    async def _quit(self, client: Connection) -> None:
        """In good order."""
        self.tally.kinds["quit"] += 1
        client.writer.write(b"quit\r\n")
        try:
            rest = await asyncio.wait_for(client.reader.read(), QUIT_TIMEOUT_S)
        except (OSError, asyncio.TimeoutError) as error:
            self.tally.errors.append(error)
            return
        if rest:
            self.tally.errors.append(Failed(rest))

    # ---- requests ----

    def _exchange(self) -> Exchange:
        place = self.rng.randrange(KEYS_EACH)
        key = next(k for k in self.ledger.allowed if int(k.split("-")[1]) == place)
        choice = self.rng.random()
        if choice < DELETES:
            return self._delete(key)
        if choice < DELETES + SETS:
            return self._set(key, self.rng.randrange(SIZES[place]))
        if choice < DELETES + SETS + GETS:
            return self._get([key])
        # Large values are seldom among those that are asked for together.
        keys = sorted(self.ledger.allowed, key=lambda k: int(k.split("-")[1]))
        keys = keys if self.rng.random() < 0.05 else keys[6:]
        return self._get(self.rng.sample(keys, self.rng.randint(2, len(keys))))

    def _delete(self, key: str) -> Exchange:
        self.tally.kinds["delete"] += 1
        self.ledger.begin(key, None)

        async def take(client: Connection) -> None:
            await self._written(client, key, None, b"DELETED\r\n", b"NOT_FOUND\r\n")

        return Exchange(f"delete {key}\r\n".encode(), take, key)

    def _set(self, key: str, size: int) -> Exchange:
        self.tally.kinds["set"] += 1
        sequence = self.ledger.next(key)
        self.ledger.begin(key, sequence)
        value = spell(key, sequence, size)

        async def take(client: Connection) -> None:
            await self._written(client, key, sequence, b"STORED\r\n")

        return Exchange(b"set %s 0 0 %d\r\n%s\r\n" % (key.encode(), len(value), value), take, key)

    async def _written(self, client: Connection, key: str, sequence: int | None, *good: bytes) -> None:
        try:
            await client.line(*good)
        except Failed:
            self.ledger.unclear(key, sequence)
            raise
        self.ledger.done(key, sequence)

    def _get(self, keys: list[str]) -> Exchange:
        self.tally.kinds["get" if len(keys) == 1 else "get of several"] += 1

        async def take(client: Connection) -> None:
            found = await client.items()
            for key in keys:
                self.ledger.check(key, found.pop(key, None))
            self.tally.wrong.extend(f"{key}: was not asked for" for key in found)

        return Exchange(f"get {' '.join(keys)}\r\n".encode(), take)
