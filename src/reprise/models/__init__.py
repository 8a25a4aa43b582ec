"""Networks. None of them calls a hub: weights come from files."""
