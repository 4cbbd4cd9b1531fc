"""Kafka's clients behind one contract: what a transaction of the stream needs of them, and no more."""
