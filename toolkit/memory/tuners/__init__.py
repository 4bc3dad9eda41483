"""What peft's methods other than LoRA add to a model: shapes from the config, without peft."""
