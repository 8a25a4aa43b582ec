"""From predictions to numbers: metrics, intervals, tables, coordinates. NumPy and pandas only."""
