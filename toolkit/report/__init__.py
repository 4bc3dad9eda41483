"""Facts to text: what is said, for people and for programs. Nothing here reads or prints."""
