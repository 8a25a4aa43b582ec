"""Metrics of classification and segmentation, and those of the course scripts. No torch."""
