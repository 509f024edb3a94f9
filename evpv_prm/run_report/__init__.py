"""The report of a run as one page, and the gallery of its figures."""
