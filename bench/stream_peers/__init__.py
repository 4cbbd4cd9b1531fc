"""What a stream is compared with: bare loops of the two clients, and Quix Streams. Nothing here imports Foretable."""
