"""What linear layers hold with an adapter of one of peft's methods beside LoRA."""
