"""What the model code and kernels of trainers and loaders keep."""
