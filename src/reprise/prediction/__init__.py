"""A trained run answers images that it never saw, in the formats of the courses."""
