"""An engine that claims a share of the card when it starts: vLLM."""
