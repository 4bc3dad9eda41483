"""What a document says to the toolkit in HTML comments: `<!-- toolkit: ignore … -->`, `<!-- toolkit: claim … -->`."""
