"""A claim's scenario made answerable: its open fields, and the settings that are tried."""
