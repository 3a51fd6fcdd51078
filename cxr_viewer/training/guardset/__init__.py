"""What the guard learns from beside chest films: images that a model of chest films must not read, all made here.

Few real images of this kind are at hand, and those are kept for testing. So they are made from nothing
(:mod:`.drawn`), from chest films (:mod:`.spoiled`), and, for lateral films, from both (:mod:`.lateral`). Every maker
takes a generator and a side length in pixels and returns float32 (side, side), 0 black to 1 white.
"""
