"""Builds the forms that tapes are recorded from: how each part of a family runs, with the dtypes of a run."""
