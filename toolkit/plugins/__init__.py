"""What other programs load of the toolkit: pytest."""
