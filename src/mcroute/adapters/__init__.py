"""What connects the engine to the world: loops, sockets, clocks."""
