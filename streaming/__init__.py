"""The Kafka consumer: requests in, predictions out, exactly once."""
