"""From tables, histories, coordinates and masks to pictures and one page; Matplotlib only."""
