"""What a session does in the background: refresh, login, restore and persistence."""
