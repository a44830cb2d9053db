"""Over a broker: listening for a bounded time, and sending a gateway its next certificates."""
