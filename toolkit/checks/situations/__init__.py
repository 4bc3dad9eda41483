"""Scenarios ready for estimates: their open fields, and the settings that are tried."""
