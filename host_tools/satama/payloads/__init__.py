"""What a payload says: SenML in CBOR and JSON, compact packets; exact, or refused."""
