"""Facts as data, with their sources: models, GPUs, releases of software, and how well evidence is known."""
