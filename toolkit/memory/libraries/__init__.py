"""Which way the code of a library takes, by its release."""
