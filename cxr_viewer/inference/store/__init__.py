"""Models fetched from their publishers, read without running anything in them, converted once, proven, kept.

``LocalStore`` (``local``) is what the program uses. Three child processes do what touches foreign bytes:
``downloading`` speaks to the network, ``reading`` takes a published file apart in a cage, ``converting`` writes our
weights.
"""
