"""A spec drafted from a document that nobody has written one for.

`draft.draft` binds what `toolkit.documents.scan` finds. A scenario gets what the document states and nothing else; a
claim that rests on more than that is bound too, but waits as unchecked, with the question that would settle it.
"""
