"""From a setting to a ledger of bytes: architectures, exact storage, and what is alive at each moment."""
