"""A trained run as a folder of files that works without this project."""
