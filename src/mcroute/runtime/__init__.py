"""What keeps an engine, its links and its supervisor going, whatever carries the bytes."""
