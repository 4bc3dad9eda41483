"""What sharing a run among GPUs changes on one of them: parts of tensors, gathered units, buckets."""
