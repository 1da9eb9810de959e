"""Pictures of recordings, and a session to look at while it works: `marbles`, `live` and `inspect`."""
