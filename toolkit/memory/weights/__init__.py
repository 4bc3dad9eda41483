"""The tensors that weights are stored in: their dtypes, schemes of quantization, adapters and sums."""
