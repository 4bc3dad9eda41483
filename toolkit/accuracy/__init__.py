"""Published readings against estimates: converting readings, scoring them, and the open table of errors."""
