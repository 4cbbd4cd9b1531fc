"""Kafka: one process that is broker and controller at once (KRaft)."""
