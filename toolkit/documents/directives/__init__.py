"""Comments in documents that address the toolkit: `<!-- toolkit: ignore … -->`, `<!-- toolkit: claim … -->`."""
