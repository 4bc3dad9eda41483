"""The programs of a model: the tapes of its layers and of its ends, and the moments at which memory can peak."""
