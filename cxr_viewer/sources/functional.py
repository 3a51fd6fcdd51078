"""Functional groups of enhanced multi-frame images (PS3.3 C.7.6.16): their grey chain as if it stood at the top."""

from __future__ import annotations

from copy import copy

from pydicom.dataset import Dataset

from cxr_viewer.sources import tolerant as tol

_GROUPS = ("FrameVOILUTSequence", "PixelValueTransformationSequence", "PixelMeasuresSequence")
_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"


def flattened(ds: Dataset, frame: int) -> Dataset:
    """``ds`` itself, or a copy in which windows, rescale and spacing of ``frame`` stand where a plain image has them.

    What the image says at the top stays; of the groups, those of the frame come before the shared ones.
    """
    groups = [*tol.items(ds, _PER_FRAME, limit=frame + 1)[frame : frame + 1], *tol.items(ds, _SHARED, limit=1)]
    if not groups:
        return ds
    flat = copy(ds)
    for group in groups:
        for name in _GROUPS:
            for item in tol.items(group, name, limit=1):
                for tag in item.keys() - flat.keys():
                    flat[tag] = item[tag]
    return flat
