"""What the own code and kernels of trainers and loaders keep."""
