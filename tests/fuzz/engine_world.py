"""A world around one engine, played from bytes: clients, servers, time, and the promises made to them.

Every decision is read from the input, so that a fuzzer steers the world and one input is one history. Clients
are honest or send anything; servers answer as memcached does, late, not at all, twice, for another key, or
send anything. A promise that is not kept raises `Broken`.
"""

from __future__ import annotations

import random
from types import ModuleType

import probe
from choices import Choices, require
from fuzz_clients import KEYS, Client, Writer, is_own_value, leave_taking
from fuzz_plans import DEADLINE_S, HEDGE_AFTER_S, PLANS, SERVERS

from mcroute._engine.engine import Engine
from mcroute._protocol import Request
from mcroute.policy.nodes import Outcome
from mcroute.testing.memcached import Conversation, Memcached

CLIENTS = 3
LINKS = 2  # a server
STEPS_MAX = 400
IDLE_MEMORY = 64 * 1024  # the block that an idle engine reads into
MEMORY_MAX = 96 << 20


class Clock:
    """It stands still."""

    def monotonic(self) -> float:
        return 1000.0

    def unix(self) -> float:
        return 1_000_000_000.0


class Reluctant(Conversation):
    """Refuses the next requests, as many as a test sets."""

    refusals = 0

    def _answer(self, request: Request) -> bytes:
        if self.refusals == 0:
            return super()._answer(request)
        self.refusals -= 1
        return b"SERVER_ERROR out of memory storing object\r\n"


class Link:
    """One connection to a server, which answers on demand."""

    def __init__(self, server: Memcached) -> None:
        self.server = server
        self.number = 0
        self.is_open = False
        self.last = b""
        self.reset()

    def reset(self) -> None:
        self.conversation = Reluctant(self.server, ("127.0.0.1", 5000), 0)
        self.inbox = bytearray()
        self.outbox = bytearray()

    def work(self, size: int) -> None:
        """Executes what is whole in the next `size` bytes that came."""
        said = self.conversation.receive(bytes(self.inbox[:size]))
        del self.inbox[:size]
        if said:
            self.last = said
            self.outbox += said


class World:
    """With `apart` (tests/engine/apart.pyx), Python is a thread of its own, which comes now and then."""

    def __init__(self, data: bytes, apart: ModuleType | None = None) -> None:
        self.choices = Choices(data)
        self.apart = apart
        self.chance = random.Random(data)
        self.engine = Engine(PLANS[self.choices.below(len(PLANS))], seed=1)
        probe.keep_no_spares(self.engine)
        self.is_bounded_tightly = self.choices.below(4) == 3
        if self.is_bounded_tightly:
            probe.set_limits(self.engine, 4, 8, 4096)
        self.now = 100.0
        self.writer = Writer(self.choices)
        self.values_are_ours = True  # until a server has sent anything
        self.calls: dict[int, tuple[bytes, float]] = {}  # key and deadline of what was submitted
        self.deferred: list[int] = []
        self.clients: list[Client | None] = [Client(self.engine.open_session()) for _ in range(CLIENTS)]
        memcacheds = [Memcached(Clock()) for _ in range(SERVERS)]
        self.links = [Link(memcacheds[i // LINKS]) for i in range(SERVERS * LINKS)]
        for server in range(SERVERS):
            self.engine.set_hedge_after(server, HEDGE_AFTER_S)
        for i in range(len(self.links)):
            self.open_link(i)
            self.connect(self.links[i])

    # ---- the history ----

    def play(self) -> None:
        for _ in range(STEPS_MAX):
            if not self.choices.are_left:
                break
            self.step()
            self.turn()
        self.settle()
        self.leave()

    def step(self) -> None:
        action = self.choices.below(20)
        if action < 6:
            self.ask()
        elif action < 10:
            self.serve()
        elif action == 10:
            self.pass_time(self.choices.below(256) / 100)
        elif action == 11:
            self.misbehave()
        elif action == 12:
            self.change_link()
        elif action == 13:
            self.engine.set_server_state(self.choices.below(SERVERS), self.choices.below(3))
        elif action == 14:
            self.disturb_client()
        elif action == 15:
            self.submit()
        elif action == 16:
            self.answer_handed()
        elif action == 17 and self.choices.below(4) == 0:
            self.engine.install(PLANS[self.choices.below(len(PLANS))])
        elif action == 18:
            self.refuse()
        else:
            for link in self.links:
                link.work(len(link.inbox))
                self.deliver(link, len(link.outbox))

    def turn(self) -> None:
        """The end of a driver's turn, repeated until no work is left."""
        for client in self.clients:
            if client is not None and client.has_ended and not client.unsent:
                self.engine.end_input(client.number)
        while numbers := self.take_dirty():
            for number in numbers:
                self.flush(number)
            for client in self.clients:
                self.push(client)
        self.deferred += [number for number, _ in self.engine.take_deferred()]
        self.take_results()
        for client in self.clients:
            if client is not None:
                client.read(self.values_are_ours)
        memory = probe.memory_in_use(self.engine)
        require(memory <= MEMORY_MAX, "memory is bounded", memory)

    def take_dirty(self) -> list[int]:
        if self.apart is not None:
            self.apart.take(self.engine)
            if self.chance.random() < 0.2:
                self.apart.step(self.engine, self.now)
            if self.chance.random() < 0.2:
                self.apart.apply(self.engine, self.now)
                self.apart.take(self.engine)
        return self.engine.take_dirty()

    def end_routes(self) -> None:
        """Python does all that it has left undone."""
        while self.apart is not None:
            self.apart.step(self.engine, self.now)
            self.apart.apply(self.engine, self.now)
            if not self.apart.take(self.engine):
                break

    def flush(self, number: int) -> None:
        output = self.engine.take_output(number)
        client = next((c for c in self.clients if c is not None and c.number == number), None)
        if client is not None:
            client.received += output
            if self.engine.must_close(number):
                self.lose_client(client)
            return
        link = next(link for link in self.links if link.number == number)
        if link.is_open:
            link.inbox += output
        if self.engine.must_close(number):
            self.disconnect(link)

    # ---- clients ----

    def ask(self) -> None:
        client = self.clients[self.choices.below(CLIENTS)]
        if client is None or not client.is_honest or client.has_quit:
            return
        for _ in range(1 + self.choices.below(4)):
            client.write(self.writer.requests())
        self.push(client)

    def push(self, client: Client | None) -> None:
        """Hands over what the client has to say, in pieces, while the engine wants it read."""
        while client is not None and client.unsent and self.engine.may_read(client.number):
            piece = len(client.unsent)
            if self.choices.happens():
                piece = min(piece, 1 + self.choices.below(256) + piece // 8)
            reads_on = self.engine.receive(client.number, bytes(client.unsent[:piece]), self.now)
            require(reads_on == self.engine.may_read(client.number), "it is said at once", reads_on)
            client.sent(piece, self.now + DEADLINE_S)

    def disturb_client(self) -> None:
        at = self.choices.below(CLIENTS)
        client = self.clients[at]
        action = self.choices.below(4)
        if client is None:
            self.clients[at] = Client(self.engine.open_session())
        elif action == 0:
            self.engine.close(client.number, self.now)
            self.clients[at] = None
        elif action == 1:
            client.has_quit = True
            if self.choices.happens():
                client.write([leave_taking()])
                self.push(client)
            else:
                client.has_ended = True
        elif not client.unsent:
            client.is_honest = False
            client.unsent += self.choices.raw()
            self.push(client)

    def lose_client(self, client: Client) -> None:
        """The engine asked for the end of the session: it may not be in debt to an honest client."""
        client.read(self.values_are_ours)
        if client.is_honest and not self.is_bounded_tightly:
            require(client.has_quit, "an honest client is never sent away", client.expected)
            require(not client.owed(), "what was asked is answered before the end", client.expected)
        self.engine.close(client.number, self.now)
        self.clients[self.clients.index(client)] = None

    # ---- requests of the embedding process ----

    def submit(self) -> None:
        key = KEYS[self.choices.below(len(KEYS))]
        value = self.writer.value(key)
        requests = (
            b"get %b\r\n" % key,
            b"gets k1 %b k2\r\n" % key,
            b"set %b 0 0 %d\r\n%b\r\n" % (key, len(value), value),
            b"delete %b\r\n" % key,
            b"mg %b v\r\n" % key,
        )
        number = self.engine.submit(requests[self.choices.below(len(requests))], self.now)
        require(number not in self.calls, "every call has a number of its own", number)
        self.calls[number] = (key, self.now + DEADLINE_S)
        if self.choices.below(4) == 3:
            self.engine.discard_result(number)
            del self.calls[number]

    def take_results(self) -> None:
        for number, outcome, result in self.engine.take_results():
            require(number in self.calls, "one result a call, and only for those that wait", number)
            del self.calls[number]
            Outcome(outcome)
            if isinstance(result, list):
                for key, _, _, value in result:
                    is_ours = not self.values_are_ours or is_own_value(key, value)
                    require(key in KEYS and is_ours, "no alien values", (key, value[:80]))

    def answer_handed(self) -> None:
        while self.deferred:
            self.engine.answer(self.deferred.pop(self.choices.below(len(self.deferred))), b"END\r\n")

    # ---- servers ----

    def link(self) -> Link:
        return self.links[self.choices.below(len(self.links))]

    def serve(self) -> None:
        link = self.link()
        link.work(len(link.inbox) if self.choices.happens() else self.choices.below(256))
        self.deliver(link, len(link.outbox) if self.choices.happens() else self.choices.below(256))

    def refuse(self) -> None:
        """A server has no memory for what it is asked next on one of its connections."""
        self.link().conversation.refusals = 1 + self.choices.below(3)

    def deliver(self, link: Link, size: int) -> None:
        if link.is_open and link.outbox:
            self.engine.receive(link.number, bytes(link.outbox[:size]), self.now)
            del link.outbox[:size]

    def misbehave(self) -> None:
        link = self.link()
        action = self.choices.below(4)
        if action == 0:
            link.outbox += link.last
        elif action == 1:
            link.outbox.clear()
        elif action == 2:
            key = KEYS[self.choices.below(len(KEYS))]
            value = self.writer.value(key)
            link.outbox += b"VALUE %b 5 %d\r\n%b\r\nEND\r\n" % (key, len(value), value)
        else:
            self.values_are_ours = False
            link.outbox += self.choices.raw()

    def change_link(self) -> None:
        link = self.link()
        if link.is_open:
            if self.choices.happens():
                # The connection is reset before the server reads the request, which it executes all the same.
                link.work(len(link.inbox))
            self.disconnect(link)
            return
        self.open_link(self.links.index(link))
        if self.choices.happens():
            self.connect(link)
        else:
            self.turn()
            self.engine.close(link.number, self.now)

    def open_link(self, index: int) -> None:
        self.links[index].number = self.engine.open_link(index // LINKS, index % LINKS)

    def connect(self, link: Link) -> None:
        link.reset()
        link.is_open = True
        self.engine.link_connected(link.number)

    def disconnect(self, link: Link) -> None:
        link.is_open = False
        self.engine.close(link.number, self.now)

    # ---- time and promises ----

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        if self.now >= self.engine.next_wakeup():
            if self.apart is None:
                self.engine.check(self.now)
            else:
                self.apart.check(self.engine, self.now)
            self.turn()
            self.check_deadlines()

    def check_deadlines(self) -> None:
        if self.is_bounded_tightly:
            return
        for key, deadline in self.calls.values():
            require(deadline > self.now, "every call ends within its deadline", key)
        # The driver, not the engine, answers deferred requests.
        for client in () if self.deferred else self.clients:
            if client is not None and client.is_honest:
                late = [request for request in client.owed() if request.deadline <= self.now]
                require(not late, "every request ends within its deadline", late)

    def settle(self) -> None:
        """All is quiet, time goes on: whatever is owed is paid within the deadline."""
        self.answer_handed()
        for _ in range(200 if self.is_bounded_tightly else 1):
            self.pass_time(DEADLINE_S / 2)
            self.answer_handed()
            self.pass_time(DEADLINE_S / 2 + 0.001)
            if not any(client is not None and (client.owed() or client.has_quit) for client in self.clients):
                break
        self.turn()
        require(not self.calls, "every call ends", self.calls)
        for client in self.clients:
            if client is not None and client.is_honest:
                require(not client.owed(), "every request ends", list(client.expected)[:2])
                require(not client.received, "nothing is said that was not asked", client.received[:80])
                is_still_here = client.has_quit and not client.unsent
                require(not is_still_here, "who has quit is sent away", client.number)

    def leave(self) -> None:
        for client in self.clients:
            if client is not None:
                self.engine.close(client.number, self.now)
        for link in self.links:
            self.engine.close(link.number, self.now)
        self.clients.clear()
        # Requests that waited behind a write of the last link begin, and end, now.
        for _ in range(3):
            self.pass_time(DEADLINE_S)
            self.end_routes()
        memory = probe.memory_in_use(self.engine)
        require(memory <= IDLE_MEMORY, "what nobody waits for is forgotten", memory)


def play(data: bytes, apart: ModuleType | None = None) -> None:
    World(data, apart).play()
