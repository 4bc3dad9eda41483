"""Figures of a Markdown document that nobody has written a spec for: where they stand, and what they are said of.

`scan.scan` finds them. A figure that nothing around it makes a statement about memory is left out: what is shown
must be worth a look.
"""
