"""The training engine: one loop, and what each kind of training puts into it."""
