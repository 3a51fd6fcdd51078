"""Functional groups of enhanced multi-frame images (PS3.3 C.7.6.16): their grey chain as if it stood at the top.

Each group is one macro, such as Frame VOI LUT (C.7.6.16.2.10), and is taken whole or not at all: a window of the top
level with the explanation of another one from a group would be a claim nobody made.
"""

from __future__ import annotations

from copy import copy

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset

from cxr_viewer.core.provenance import Stage
from cxr_viewer.sources import tolerant as tol
from cxr_viewer.sources.tolerant import Cautions

_SHARED, _PER_FRAME = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_SHUTTER = """ShutterShape ShutterLeftVerticalEdge ShutterRightVerticalEdge ShutterUpperHorizontalEdge
ShutterLowerHorizontalEdge CenterOfCircularShutter RadiusOfCircularShutter VerticesOfThePolygonalShutter
ShutterPresentationValue"""

# group -> (step of the inspector, the attributes of its macro that are used, its place in PS3.3)
_GROUPS = {
    "FrameVOILUTSequence": (
        Stage.VOI,
        "WindowCenter WindowWidth WindowCenterWidthExplanation VOILUTFunction VOILUTSequence",
        "PS3.3 C.7.6.16.2.10",
    ),
    "PixelValueTransformationSequence": (
        Stage.MODALITY,
        "RescaleIntercept RescaleSlope RescaleType ModalityLUTSequence",
        "PS3.3 C.7.6.16.2.9",
    ),
    "PixelMeasuresSequence": (Stage.MILLIMETRES, "PixelSpacing", "PS3.3 C.7.6.16.2.1"),
    "FramePixelDataPropertiesSequence": (Stage.MILLIMETRES, "ImagerPixelSpacing", "PS3.3 C.8.19.6"),
    "FrameDisplayShutterSequence": (Stage.SHUTTER, _SHUTTER, "PS3.3 C.7.6.16.2.16"),
    "FrameAnatomySequence": (Stage.ORIENTATION, "FrameLaterality", "PS3.3 C.7.6.16.2.8"),
    "PatientOrientationInFrameSequence": (Stage.ORIENTATION, "PatientOrientation", "PS3.3 C.7.6.16.2.15"),
}
_RENAMED = {"FrameLaterality": "ImageLaterality"}
_ROOT = "1.2.840.10008.5.1.4.1.1."
_ENHANCED = frozenset(
    _ROOT + ending
    for ending in (
        *("2.1", "2.2", "4.1", "4.3", "4.4", "6.2", "7.1", "7.2", "7.3", "7.4", "12.1.1", "12.2.1", "13.1.1"),
        *("13.1.2", "13.1.3", "13.1.4", "13.1.5", "30", "66.4", "77.1.5.4", "77.1.6", "128.1", "130"),
    )
)


def is_enhanced(sop_class: str) -> bool:
    """Whether the standard puts the grey chain of this class of images into functional groups (PS3.4 B.5)."""
    return sop_class in _ENHANCED


def flattened(ds: Dataset, frame: int, cautions: Cautions) -> Dataset:
    """``ds`` itself, or a copy in which the macros of ``frame`` stand where a plain image has their attributes.

    The groups of the frame come before the shared ones. In an enhanced image both come before what stands at the top,
    where these attributes have no business; in any other image, groups fill what the top leaves open.
    """
    groups = [*tol.items(ds, _PER_FRAME, limit=frame + 1)[frame : frame + 1], *tol.items(ds, _SHARED, limit=1)]
    if not groups:
        return ds
    enhanced = is_enhanced(tol.text(ds, "SOPClassUID"))
    flat = copy(ds)
    for name, (stage, keywords, reference) in _GROUPS.items():
        used = next((item for group in groups for item in tol.items(group, name, limit=1)), None)
        if used is None or not any(tol.has(used, keyword) for keyword in keywords.split()):
            continue
        if any(tol.has(ds, _RENAMED.get(keyword, keyword)) for keyword in keywords.split()):
            where, instead = ("the top level", "functional group") if enhanced else ("a functional group", "top level")
            cautions.story.pass_over(stage, f"What {where} says is passed over: the {instead} holds for this image.")
            if not enhanced:
                continue
        _replace(flat, used, keywords.split())
        cautions.story.tell(stage, f"Taken from the functional groups of frame {frame + 1}.", reference)
    return flat


def _replace(flat: Dataset, item: Dataset, keywords: list[str]) -> None:
    for keyword in keywords:
        source, target = tag_for_keyword(keyword), tag_for_keyword(_RENAMED.get(keyword, keyword))
        if source is None or target is None:
            continue
        if target in flat:
            del flat[target]
        if source not in item:
            continue
        if source == target:
            flat[target] = item.get_item(source)  # raw: a value that cannot be converted is judged where it is used
        else:
            flat.add_new(target, "CS", tol.code_string(item, keyword))
