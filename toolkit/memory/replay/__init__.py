"""What a formula's run asks of the allocator, event by event, and what the allocator then reserves."""
