"""Data as the courses hand it out: found, listed, checked, read; and small samples of it."""
