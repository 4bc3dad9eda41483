"""From a scenario to settings, with every field decided by the rules of the stack."""
