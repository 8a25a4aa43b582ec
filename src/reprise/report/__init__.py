"""results/report.html: every table and figure on one page that needs no other file."""
