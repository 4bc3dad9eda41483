"""What peft's methods beside LoRA add to a model: shapes by config, without peft."""
