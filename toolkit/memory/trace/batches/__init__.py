"""What a traced model is given, and what it is trained towards."""
