"""A clock for servers without sockets, which a test moves."""


class ModelClock:
    """`date_jump_s` moves the host's date alone."""

    def __init__(self) -> None:
        self.now = 5000.25
        self.date_jump_s = 0.0

    def monotonic(self) -> float:
        return self.now

    def unix(self) -> float:
        return 1_800_000_000.0 + self.now + self.date_jump_s
