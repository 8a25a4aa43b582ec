"""From predictions to scores, comparisons and tables. NumPy, SciPy and pandas, no torch."""
