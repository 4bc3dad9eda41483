"""Traces: real training code on tensors without storage, every byte accounted. Needs torch and transformers."""
