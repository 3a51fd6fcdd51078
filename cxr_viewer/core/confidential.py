"""Which attributes of a file may tell who the patient is.

PS3.15 table E.1-1 (Basic Application Level Confidentiality Profile) names what has to be removed or replaced before a
file is shared. It grows with every edition, so the rule here is the other way round, and each entry of the table falls
under one of its parts:

- private attributes, unknown ones and those of VR UN: nobody here knows what they hold;
- every person name (PN), age (AS), date and time (DA, DT, TM), because table E.1-1 lists nearly all of them;
- every UID, unless the standard itself has registered it (``1.2.840.10008...``: a SOP class, a transfer syntax);
- every free text (LO, SH, ST, LT, UC, UT, UR, AE), unless it stands on the list of technical ones below;
- whole groups about the patient, the visit, the trial, the procedure, the report or the place (``_GROUPS``);
- what else the table lists although its VR is harmless (``_LISTED``), with all that lies inside such a sequence.

Standard library only, so that the window, which has no DICOM library, can ask as well.
"""

from __future__ import annotations

import re
from typing import Final

REGISTERED_UIDS: Final = "1.2.840.10008."
_PERSONAL_VRS: Final = frozenset({"PN", "AS", "DA", "DT", "TM", "UN", ""})
_TEXT_VRS: Final = frozenset({"LO", "SH", "ST", "LT", "UC", "UT", "UR", "AE"})
_NUMBER_VRS: Final = frozenset({"DS", "IS", "US", "SS", "UL", "SL", "UV", "SV", "FL", "FD"})
_GROUPS: Final = frozenset(
    {
        0x0010,  # patient
        0x0012,  # clinical trial
        0x0016,  # the place a photograph was taken at
        0x0032,  # requested procedure
        0x0034,  # identifiers of a flow
        0x0038,  # visit
        0x0070,  # graphics and texts drawn by a person
        0x0088,  # storage, icon image
        0x0400,  # signatures, attributes that were replaced
        0x2030,  # text of annotations
        0x2200,  # labels of media
        0x4000,
        0x4008,  # report
        0xFFFA,
        0xFFFC,
    }
)
_PROCEDURE: Final = 0x0040  # procedure steps and structured reports; its numbers are doses, sizes and measurements
_LISTED: Final = frozenset(
    {
        0x00080082,  # InstitutionCodeSequence
        0x00080096,  # ReferringPhysicianIdentificationSequence
        0x0008009D,  # ConsultingPhysicianIdentificationSequence
        0x00081041,  # InstitutionalDepartmentTypeCodeSequence
        0x00081049,  # PhysiciansOfRecordIdentificationSequence
        0x00081052,  # PerformingPhysicianIdentificationSequence
        0x00081062,  # PhysiciansReadingStudyIdentificationSequence
        0x00081072,  # OperatorIdentificationSequence
        0x00081084,  # AdmittingDiagnosesCodeSequence
        0x00081110,  # ReferencedStudySequence
        0x00081111,  # ReferencedPerformedProcedureStepSequence
        0x00081120,  # ReferencedPatientSequence
        0x00081140,  # ReferencedImageSequence
        0x00082112,  # SourceImageSequence
        0x0018100A,  # UDISequence
        0x00185011,  # TransducerIdentificationSequence
        0x00203401,  # ModifyingDeviceID
        0x30100081,  # PrescriptionNotesSequence
    }
)
_TECHNICAL_TEXTS: Final = frozenset(
    {
        0x00020013,  # ImplementationVersionName
        0x00180015,  # BodyPartExamined
        0x00080060,  # Modality
        0x00080070,  # Manufacturer
        0x00080100,  # CodeValue
        0x00080102,  # CodingSchemeDesignator
        0x00080103,  # CodingSchemeVersion
        0x00080104,  # CodeMeaning
        0x00081090,  # ManufacturerModelName
        0x00181020,  # SoftwareVersions
        0x00181160,  # FilterType
        0x00181250,  # ReceiveCoilName
        0x00181210,  # ConvolutionKernel
        0x00181260,  # PlateType
        0x00186000,  # Sensitivity
        0x00187005,  # DetectorConfiguration
        0x00187050,  # FilterMaterial
        0x00281054,  # RescaleType
        0x00281055,  # WindowCenterWidthExplanation
        0x00283003,  # LUTExplanation
        0x00283004,  # ModalityLUTType
    }
)
_WRITING_PROGRAM: Final = 0x00020012  # ImplementationClassUID
_SHOWN_GROUPS: Final = frozenset({0x0028, 0x2050})
_TAG: Final = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")
_SHOWN_ELSEWHERE: Final = frozenset(
    {
        0x00020010,  # TransferSyntaxUID
        0x00080008,  # ImageType
        0x00080016,  # SOPClassUID
        0x00080060,  # Modality
        0x00080068,  # PresentationIntentType
        0x00181110,  # DistanceSourceToDetector
        0x00181111,  # DistanceSourceToPatient
        0x00181114,  # EstimatedRadiographicMagnificationFactor
        0x00181164,  # ImagerPixelSpacing
        0x00182010,  # NominalScannedPixelSpacing
        0x00185101,  # ViewPosition
        0x00200020,  # PatientOrientation
        0x00200060,  # Laterality
        0x00200062,  # ImageLaterality
    }
)


def identifies(tag: int, vr: str, value: str = "") -> bool:
    """Whether an attribute may tell who the patient is; see the module's own words for the rule.

    Args:
        tag: ``0xGGGGEEEE``.
        vr: two letters; empty where it is unknown, which counts as identity.
        value: looked at for UIDs only.
    """
    group, element = tag >> 16, tag & 0xFFFF
    if group % 2 or (group & 0xFF00) == 0x5000 or group in _GROUPS or tag in _LISTED:
        return True
    if element == 0:
        return False  # the length of a group
    if group == _PROCEDURE:
        return vr not in _NUMBER_VRS
    if (group & 0xFF00) == 0x6000 and element in (0x3000, 0x4000, 0x1500):
        return True  # what somebody drew or wrote on the film
    if vr == "UI":
        return tag != _WRITING_PROGRAM and not all(
            uid.strip("\0 ").startswith(REGISTERED_UIDS) for uid in value.split("\\") if uid
        )
    return vr in _PERSONAL_VRS or (vr in _TEXT_VRS and tag not in _TECHNICAL_TEXTS)


def may_leave(name: str) -> bool:
    """Whether the value of an attribute named as ``"WindowWidth (0028,1051)"`` may be copied out of the program.

    Without its VR only what describes the picture may: the groups of pixels and presentation, and a few by name.
    """
    found = _TAG.search(name)
    if found is None:
        return False
    group, element = (int(part, 16) for part in found.groups())
    tag = group << 16 | element
    if group in _SHOWN_GROUPS:
        return not identifies(tag, "CS")
    if (group & 0xFF00) == 0x6000:
        return not identifies(tag, "US")
    return 0x00181600 <= tag <= 0x00181624 or tag in _SHOWN_ELSEWHERE  # the former are the display shutter
