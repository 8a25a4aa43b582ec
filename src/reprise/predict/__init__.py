"""Predictions of a trained run for new images, in the output formats of the courses."""
