"""The golden matrix: what every film must look like, from the standard and from two renderers that share no code."""
