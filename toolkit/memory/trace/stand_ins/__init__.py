"""What stands in for a GPU: kernels, switches and values that meta tensors lack."""
