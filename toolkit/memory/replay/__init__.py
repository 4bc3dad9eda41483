"""Replays a run's allocations and releases, written from the formulas' tapes, through the caching allocator's rules."""
