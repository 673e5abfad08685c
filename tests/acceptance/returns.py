"""Servers that stop and return, many at once, while their keys are read and written: no old value may stay.

    python -m tests.acceptance.returns --returns 500 [--memcached PATH] [--driver asyncio] [--others 1]
        [--pending 200] [--losses 0.5] [--journal-keys 10] [--restarts 0.5]

Each pool has two servers and two copies of each key; in each cycle one server of every pool is stopped,
misses writes and deletes, and returns. Then no key may be read with an older value than its last, and the
server itself may hold none. A server that was not flushed still holds what was not written meanwhile.

With `--others` clients beside the proxy read the servers all the time, also while they are flushed. With
`--pending` up to so many requests wait at a server when it is stopped. `--losses` is the share of stops in
which the proxy loses some of its connections to the server. `--journal-keys` bounds the journals, so that
they overflow. `--restarts` is the share of cycles in which the proxy is killed, or ended in order, and
started again, before the servers go on or after it; then it has a journal file.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mcroute.testing import MemcachedServer, free_port

from .load import Connection, Failed, Ledger, Tally, connected, spell
from .outages import is_of_a_fault
from .service import Service, service, started
from .soak import beside

__all__ = ("Settings", "returns")

KEYS = 30
# Each pool's client does so many requests in a second, and as many go to a server that has just stopped.
RATE = 100
PENDING = 5
# Keys of each pool that are written before a stop, and not during it.
CALM = 10
# From a server's continuation until it serves again.
RETURN_S = 60.0
ENDED = (ConnectionError, asyncio.IncompleteReadError)
VERBOSE = False
# Attempts to eject a server by stopping it.
TRIES = 100


@dataclass(frozen=True)
class Settings:
    returns: int = 500
    pools: int = 8
    others: int = 0
    pending: int = PENDING
    losses: float = 0.0
    journal_keys: int | None = None
    restarts: float = 0.0
    driver: str = "native"
    threads: int = 2
    memcached: str | None = None
    seed: int = 1


@dataclass
class Log:
    """The servers that the proxy has out of service, and the number of returns."""

    proxy: Service
    out: set[str] = field(default_factory=set)
    replayed: set[str] = field(default_factory=set)  # the servers whose last return was without a flush
    stopped: set[str] = field(default_factory=set)  # in this cycle; only their returns count
    returns: int = 0
    replays: int = 0
    odd: list[str] = field(default_factory=list)
    kills: int = 0
    ends: int = 0  # in order
    restarted: int = 0  # returns after a restart of the proxy meanwhile
    restarted_replays: int = 0  # of these, by deletes
    is_restarted: bool = False  # the proxy, in this cycle
    _listens: asyncio.Event = field(default_factory=asyncio.Event)

    async def end(self, number: int) -> None:
        """Ends the proxy. Call `start` then."""
        self.kills += number == signal.SIGKILL
        self.ends += number == signal.SIGTERM
        self.proxy.process.send_signal(number)
        await self.proxy.process.wait()

    async def start(self, settings: Settings) -> None:
        """Returns when the proxy listens, and its servers out of service are known."""
        self.out.clear()
        self.is_restarted = True
        self._listens.clear()
        self.proxy.process = await started(settings.driver, self.proxy.file, settings.threads)
        await asyncio.wait_for(self._listens.wait(), RETURN_S)

    async def listen(self) -> None:
        while True:
            line = (await self.proxy.line()).rstrip("\n")
            if not line:
                # It ends here, or starts again.
                await asyncio.sleep(0.01)
                continue
            if line.startswith("mcroute listens on "):
                self._listens.set()
                continue
            _, is_server, rest = line.partition(" WARNING server ")
            address = rest.partition(" ")[0]
            if is_server and " is out of service: " in rest:
                self.out.add(address)
            elif is_server and " serves again" in rest:
                self.out.discard(address)
                is_flushed = ", flushed" in rest
                if VERBOSE:
                    print(self.kills, self.ends, line, file=sys.stderr)
                (self.replayed.discard if is_flushed else self.replayed.add)(address)
                if address in self.stopped:
                    self.stopped.discard(address)
                    is_replayed = "which were deleted there" in rest
                    self.returns += 1
                    self.replays += is_replayed
                    self.restarted += self.is_restarted
                    self.restarted_replays += self.is_restarted and is_replayed
            elif (is_server and is_of_a_fault(rest)) or " INFO server " in line:
                # It was stopped, or gets its keys again after a flush.
                continue
            else:
                self.odd.append(line)


class Pair:
    """A pool of two servers, and the client that owns its keys."""

    def __init__(self, number: int, servers: Sequence[MemcachedServer], settings: Settings) -> None:
        self.name = f"p{number}"
        self.servers = servers
        self.rng = Random(f"{settings.seed}/{number}")
        self.tally = Tally()
        self.ledger = Ledger((f"{self.name}:{i}" for i in range(KEYS)), self.tally)
        self.held: list[str] = []  # old values on a server that serves again
        self.stopped = servers[0]
        self.lost: list[str] = []  # values that a server without a flush has lost
        self._settings = settings
        self._pending: list[Connection] = []
        # One request per key at a time, so that the possible values of each read are known.
        self._turns = {key: asyncio.Lock() for key in self.ledger.allowed}

    def text(self) -> str:
        members = ", ".join(f'"{server.address}"' for server in self.servers)
        return f"""
            [pools.{self.name}]
            servers = [{members}]
            reply_timeout_s = 0.15
            deadline_s = 5
        """

    async def work(self, port: int, over: asyncio.Event) -> None:
        """Reads and writes, on connections that may be two threads' of the proxy."""
        while not over.is_set():
            try:
                async with connected(port) as one, connected(port) as two:
                    while not over.is_set():
                        await self._step(self.rng.choice((one, two)))
                        await asyncio.sleep(2 * self.rng.random() / RATE)
            except ENDED:
                # The proxy starts again.
                await asyncio.sleep(0.02)

    async def _step(self, client: Connection) -> None:
        key = self.rng.choice(list(self.ledger.allowed))
        choice = self.rng.random()
        self.tally.count += 1
        if choice < 0.6:
            await self._read(client, key)
        else:
            await self._write(client, key, None if choice < 0.7 else self.ledger.next(key))

    async def _read(self, client: Connection, key: str) -> None:
        async with self._turns[key]:
            try:
                self.ledger.check(key, await client.get(key))
            except Failed as error:
                self.tally.errors.append(error)

    async def _write(self, client: Connection, key: str, sequence: int | None) -> None:
        async with self._turns[key]:
            try:
                if sequence is None:
                    await client.delete(key)
                else:
                    await client.set(key, spell(key, sequence))
            except Failed as error:
                self.ledger.unclear(key, sequence)
                self.tally.errors.append(error)
            except ENDED:
                self.ledger.unclear(key, sequence)
                raise
            else:
                self.ledger.done(key, sequence)

    async def others(self, rng: Random) -> None:
        """A client beside the proxy that reads; its replies are not checked."""
        keys = list(self.ledger.allowed)
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(connected(server.port)) for server in self.servers]
            await asyncio.gather(*(self._other(client, keys, rng) for client in clients))

    async def _other(self, client: Connection, keys: Sequence[str], rng: Random) -> None:
        while True:
            await client.get(rng.choice(keys))
            await asyncio.sleep(rng.random() / RATE)

    # ---- a cycle ----

    @property
    def _calm(self) -> list[str]:
        return [f"{self.name}:calm{i}" for i in range(CALM)]

    async def stop(self, port: int) -> None:
        async with connected(port) as client:
            for key in self._calm:
                await client.set(key, key.encode())
        self.stopped = self.rng.choice(self.servers)
        self.stopped.pause()
        # Requests that are being read when the server stops are executed when it continues. Their links are
        # those of two threads.
        keys = self.rng.choices(list(self.ledger.allowed), k=self.rng.randint(0, self._settings.pending))
        for first in range(min(len(keys), 5)):
            client = Connection(*await asyncio.open_connection("127.0.0.1", port))
            client.writer.write("".join(f"get {key}\r\n" for key in keys[first::5]).encode())
            self._pending.append(client)

    async def lose_links(self, proxy: int) -> None:
        """Some of this process's connections to the stopped server end, without the server's knowledge."""
        if self.rng.random() >= self._settings.losses:
            return
        to = ("dst", "127.0.0.1", "dport", "=", f":{self.stopped.port}")
        listed = [line for line in (await _ss("-tnpH", *to)).splitlines() if f"pid={proxy}," in line]
        ends = [line.split()[3].rpartition(":")[2] for line in listed]
        for end in self.rng.sample(ends, self.rng.randint(1, len(ends))) if ends else ():
            await _ss("-K", "-tnH", *to, "and", "sport", "=", f":{end}")

    async def overwrite(self, port: int) -> None:
        """All keys, so that the server misses each of them."""
        async with connected(port) as one, connected(port) as two:
            keys = list(self.ledger.allowed)
            await asyncio.gather(self._overwrite(one, keys[::2]), self._overwrite(two, keys[1::2]))

    async def _overwrite(self, client: Connection, keys: Sequence[str]) -> None:
        for key in keys:
            is_deleted = self.rng.random() < 0.3
            await self._write(client, key, None if is_deleted else self.ledger.next(key))

    async def check(self, port: int, log: Log) -> None:
        """When the server serves again, and nothing is written."""
        for client in self._pending:
            client.writer.transport.abort()
        self._pending.clear()
        async with connected(port) as one, connected(port) as two:
            for client in (one, two):
                for key in self.ledger.allowed:
                    await self._read(client, key)
        for server in self.servers:
            # The server itself is read last, since reads unlink flushed items.
            direct = Connection(*await asyncio.open_connection(server.host, server.port))
            tally = Tally()
            ledger = Ledger((), tally)
            ledger.allowed = self.ledger.allowed
            for key in self.ledger.allowed:
                ledger.check(key, await direct.get(key))
            self.held += tally.faults
            if server is self.stopped and server.address in log.replayed:
                items = await direct.get_many(self._calm)
                self.lost += [f"{server.address}: {key}" for key in self._calm if key not in items]
            await direct.close()


@dataclass
class Outcome:
    pairs: list[Pair]
    log: Log
    seconds: float

    def wrong(self) -> list[str]:
        found = [f"read: {fault}" for pair in self.pairs for fault in pair.tally.faults]
        found += [f"held: {fault}" for pair in self.pairs for fault in pair.held]
        found += [f"lost: {key}" for pair in self.pairs for key in pair.lost]
        return found + [f"log: {line}" for line in self.log.odd]

    def report(self) -> str:
        requests = sum(pair.tally.count for pair in self.pairs)
        errors = sum(len(pair.tally.errors) for pair in self.pairs)
        old = sum(len(pair.tally.faults) for pair in self.pairs)
        held = sum(len(pair.held) for pair in self.pairs)
        return (
            f"{self.log.returns} returns ({self.log.replays} by deletes) in {self.seconds:.0f} s, "
            f"{self.log.restarted} after a restart of the proxy "
            f"({self.log.restarted_replays} by deletes; "
            f"{self.log.kills} kills, {self.log.ends} ends in order), "
            f"{requests} requests, {errors} errors, {old} old values read, "
            f"{held} held by a server that serves, {sum(len(pair.lost) for pair in self.pairs)} others lost"
        )


async def _ss(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        "ss", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    return (await process.communicate())[0].decode()


def _text(port: int, pairs: Sequence[Pair], settings: Settings, journal: Path) -> str:
    routes = ", ".join(
        f'"{pair.name}:" = {{ type = "replicate", pool = "{pair.name}", copies = 2 }}' for pair in pairs
    )
    return f"""
        route = {{ type = "by_prefix", routes = {{ {routes} }}, default = {{ type = "error" }} }}
        [proxy]
        listen = "127.0.0.1:{port}"
        drain_timeout_s = 0.3
        {"" if settings.journal_keys is None else f"journal_keys_max = {settings.journal_keys}"}
        {f'journal_file = "{journal}"' if settings.restarts else ""}
        [health]
        retry_base_s = 0.05
        retry_cap_s = 0.2
    """ + "".join(pair.text() for pair in pairs)


@contextlib.asynccontextmanager
async def _working(pairs: Sequence[Pair], port: int, others: int) -> AsyncIterator[None]:
    over = asyncio.Event()
    work = asyncio.gather(*(pair.work(port, over) for pair in pairs))
    async with beside(*(pair.others(Random(i)) for pair in pairs for i in range(others))):
        yield
        over.set()
        await work


async def _until(log: Log, wanted: set[str], timeout_s: float) -> bool:
    until = asyncio.get_running_loop().time() + timeout_s
    while log.out != wanted and asyncio.get_running_loop().time() < until:
        await asyncio.sleep(0.01)
    return log.out == wanted


async def _cycle(pairs: Sequence[Pair], port: int, log: Log, rng: Random, settings: Settings) -> None:
    is_restarted = rng.random() < settings.restarts
    log.is_restarted = False
    async with _working(pairs, port, settings.others):
        # More seconds give items more different times, and move them deeper into the LRU lists.
        await asyncio.sleep(rng.uniform(0.3, 2.5))
        for pair in pairs:
            await pair.stop(port)
        log.stopped = {pair.stopped.address for pair in pairs}
        await asyncio.gather(*(pair.overwrite(port) for pair in pairs))
        await asyncio.gather(*(pair.lose_links(log.proxy.process.pid) for pair in pairs))
        await _until(log, {pair.stopped.address for pair in pairs}, 2.0)
        number, is_late = rng.choice((signal.SIGKILL, signal.SIGTERM)), rng.random() < 0.5
        if is_restarted:
            await asyncio.sleep(rng.choice((0, rng.uniform(0, 0.3))))
            await log.end(number)
            if not is_late:
                await log.start(settings)
        for pair in rng.sample(list(pairs), len(pairs)):
            pair.stopped.resume()
            await asyncio.sleep(rng.uniform(0, 0.1))
        if is_restarted and is_late:
            await log.start(settings)
        if not await _until(log, set(), RETURN_S):
            raise TimeoutError(f"{log.out} are still out of service")
    for pair in pairs:
        await pair.check(port, log)


async def returns(settings: Settings, directory: Path) -> Outcome:
    """Raises TimeoutError if a server does not come back into service."""
    rng, port = Random(settings.seed), free_port()
    with contextlib.ExitStack() as stack:
        pairs = []
        for number in range(settings.pools):
            servers = [
                stack.enter_context(MemcachedServer("-t", "2", binary=settings.memcached)) for _ in range(2)
            ]
            pairs.append(Pair(number, servers, settings))
        file, text = directory / "mcroute.toml", _text(port, pairs, settings, directory / "journal")
        started = asyncio.get_running_loop().time()
        async with service(settings.driver, file, text, port, settings.threads) as proxy:
            log = Log(proxy)
            async with beside(log.listen()):
                for _ in range(TRIES):
                    if log.returns >= settings.returns:
                        break
                    await _cycle(pairs, port, log, rng, settings)
        return Outcome(pairs, log, asyncio.get_running_loop().time() - started)


def main() -> int:
    known = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known.add_argument("--returns", type=int, default=Settings.returns)
    known.add_argument("--pools", type=int, default=Settings.pools)
    known.add_argument("--others", type=int, default=Settings.others, help="clients beside the proxy")
    known.add_argument("--pending", type=int, default=Settings.pending, help="requests at a stopped server")
    known.add_argument("--losses", type=float, default=Settings.losses, help="a share of the stops; needs ss")
    known.add_argument("--journal-keys", type=int, help="the bound of the journals; 100000 by default")
    known.add_argument("--restarts", type=float, default=Settings.restarts, help="a share of the cycles")
    known.add_argument("--driver", default=Settings.driver, choices=("native", "asyncio"))
    known.add_argument("--threads", type=int, default=Settings.threads)
    known.add_argument("--memcached", help="the binary; $MEMCACHED, or the one on the PATH")
    known.add_argument("--seed", type=int, default=Settings.seed)
    settings = Settings(**vars(known.parse_args()))
    with tempfile.TemporaryDirectory() as directory:
        outcome = asyncio.run(returns(settings, Path(directory)))
    print(outcome.report())
    for fault in outcome.wrong()[:50]:
        print(fault)
    return 1 if outcome.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
