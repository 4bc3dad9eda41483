"""How the layers of each family are put together: the names of their linears, and in what they differ from others."""
