"""Questions about an estimate: the largest value that fits, and what a change would save."""
