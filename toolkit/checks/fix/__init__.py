"""`toolkit fix`: repairs worked out in memory, proved by the check, and only then written."""
