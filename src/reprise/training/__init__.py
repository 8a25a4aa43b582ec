"""Training: one loop, the tasks that use it, and predictions of trained networks."""
