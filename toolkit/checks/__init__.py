"""From a claim and what is known to a verdict, its reason and its repair: one file for each quantity."""
