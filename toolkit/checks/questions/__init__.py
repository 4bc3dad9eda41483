"""What people ask of an estimate: the largest that fits, and what a change would save."""
