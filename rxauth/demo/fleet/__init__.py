"""Nine processes that share one sign-in."""
