"""The forms that tapes are recorded from: how a family's parts are followed, with the dtypes of a run."""
