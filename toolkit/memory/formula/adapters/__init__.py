"""Adapters of linear layers, as peft and the trainers' own kernels run them."""
