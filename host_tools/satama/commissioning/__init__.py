"""After the write: the gateway's own self-test as a checklist with what to do, and the commissioning report."""
