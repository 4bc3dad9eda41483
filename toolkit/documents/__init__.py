"""Markdown documents: what stands in them, and where the claims of a spec stand.

`document.read_document` reads a file, `bind.bind` finds all that a spec points at in it. A quote is found by
its words: white space may differ, a slot takes the shortest text between its neighbours, and nothing else is
let pass. All mistakes are findings with a place in the spec.
"""
