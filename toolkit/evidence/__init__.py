"""What is known about a quantity, and how."""
