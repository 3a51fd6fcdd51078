"""What PS3.15 table E.1-1 lists and a film may carry counts as identity; what describes the picture does not."""

from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword

from cxr_viewer.core.confidential import identifies, may_leave

# Entries of table E.1-1 whose action is not K: all that an image of a chest may hold, by each kind of VR.
TABLE = """
AccessionNumber AcquisitionComments AcquisitionDate AcquisitionDateTime AcquisitionDeviceProcessingDescription
AcquisitionProtocolDescription AcquisitionTime AdditionalPatientHistory AdmissionID AdmittingDate
AdmittingDiagnosesCodeSequence AdmittingDiagnosesDescription AdmittingTime Allergies AuthorObserverSequence
BranchOfService CassetteID ClinicalTrialProtocolID ClinicalTrialSiteName ClinicalTrialSubjectID
CommentsOnThePerformedProcedureStep ConsultingPhysicianIdentificationSequence ContentCreatorName ContentDate ContentTime
ContentSequence ContrastBolusAgent CountryOfResidence CurrentPatientLocation CustodialOrganizationSequence
DataSetTrailingPadding DerivationDescription DetectorID DeviceSerialNumber DeviceUID DigitalSignaturesSequence
EthnicGroup
FillerOrderNumberImagingServiceRequest FrameComments FrameOfReferenceUID GantryID GeneratorID GPSLatitude
GraphicAnnotationSequence IconImageSequence IdentifyingComments ImageComments ImagePresentationComments
InstanceCreatorUID InstitutionAddress InstitutionalDepartmentName InstitutionCodeSequence InstitutionName
IrradiationEventUID IssuerOfPatientID LastMenstrualDate MakerNote MedicalAlerts MedicalRecordLocator
MediaStorageSOPInstanceUID MilitaryRank ModifyingDeviceID NameOfPhysiciansReadingStudy Occupation
OperatorIdentificationSequence OperatorsName OriginalAttributesSequence OtherPatientIDs OtherPatientNames PatientAddress
PatientAge PatientBirthDate PatientBirthName PatientBirthTime PatientComments PatientID PatientMotherBirthName
PatientName PatientReligiousPreference PatientSex PatientSexNeutered PatientSize PatientState PatientTelephoneNumbers
PatientWeight PerformedLocation PerformedProcedureStepDescription PerformedProcedureStepID
PerformedProcedureStepStartDate PerformedStationAETitle PerformedStationName PerformedStationNameCodeSequence
PerformingPhysicianIdentificationSequence PerformingPhysicianName PersonIdentificationCodeSequence PersonName
PhysiciansOfRecord PhysiciansOfRecordIdentificationSequence PhysiciansReadingStudyIdentificationSequence
PlacerOrderNumberImagingServiceRequest PlateID PregnancyStatus ProtocolName ReasonForStudy ReferencedImageSequence
ReferencedPatientSequence ReferencedPerformedProcedureStepSequence ReferencedSOPInstanceUID ReferencedStudySequence
ReferringPhysicianAddress ReferringPhysicianIdentificationSequence ReferringPhysicianName RegionOfResidence
RequestAttributesSequence RequestedProcedureComments RequestedProcedureDescription RequestedProcedureID
RequestingPhysician RequestingService ResponsiblePerson ScheduledProcedureStepDescription
ScheduledProcedureStepID ScheduledStationName SeriesDate SeriesDescription SeriesInstanceUID SeriesTime SmokingStatus
SOPInstanceUID SourceImageSequence SpecialNeeds StationName StorageMediaFileSetUID StudyComments StudyDate
StudyDescription StudyID StudyInstanceUID StudyTime TextString TimezoneOffsetFromUTC TopicAuthor
TransducerIdentificationSequence
UDISequence UniqueDeviceIdentifier VerifyingObserverName VerifyingOrganization VisitComments XRayDetectorLabel
"""
SHOWN = """
SpecificCharacterSet ImageType SOPClassUID TransferSyntaxUID Modality PresentationIntentType Manufacturer
ManufacturerModelName SoftwareVersions CodeValue CodeMeaning BodyPartExamined KVP ExposureTime XRayTubeCurrent Exposure
DistanceSourceToDetector ImagerPixelSpacing EstimatedRadiographicMagnificationFactor ViewPosition InstanceNumber
PatientOrientation ImageLaterality SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing
BitsAllocated BitsStored HighBit PixelRepresentation WindowCenter WindowWidth WindowCenterWidthExplanation
VOILUTFunction RescaleIntercept RescaleSlope RescaleType VOILUTSequence LUTExplanation LUTData PresentationLUTShape
EntranceDoseInmGy ShutterShape PixelPaddingValue PixelData
"""
REGISTERED = "1.2.840.10008.5.1.4.1.1.1"


def vr_and_tag(keyword: str) -> tuple[int, str]:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag, dictionary_VR(tag)[:2]


@pytest.mark.parametrize("keyword", TABLE.split())
def test_what_the_table_lists_is_identity(keyword: str) -> None:
    tag, vr = vr_and_tag(keyword)
    assert identifies(tag, vr, "1.2.276.0.7230010.3" if vr == "UI" else "x")


@pytest.mark.parametrize("keyword", SHOWN.split())
def test_what_describes_the_picture_is_not(keyword: str) -> None:
    tag, vr = vr_and_tag(keyword)
    assert not identifies(tag, vr, REGISTERED if vr == "UI" else "x")


def test_private_unknown_and_curve_attributes_are_identity() -> None:
    assert identifies(0x00191610, "DS")
    assert identifies(0x00080070, "UN")
    assert identifies(0x00080070, "")
    assert identifies(0x50000010, "US")


def test_an_overlay_may_hold_a_name_but_its_size_does_not() -> None:
    assert identifies(0x60003000, "OW")
    assert identifies(0x60020000 | 0x4000, "LT")
    assert not identifies(0x60000010, "US")


def test_one_uid_that_is_not_registered_is_enough() -> None:
    assert identifies(0x0008001A, "UI", f"{REGISTERED}\\1.2.3")
    assert not identifies(0x0008001A, "UI", f"{REGISTERED}\\{REGISTERED}")


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("WindowWidth (0028,1051)", True),
        ("PresentationLUTShape (2050,0020)", True),
        ("ShutterShape (0018,1600)", True),
        ("OverlayRows (6000,0010)", True),
        ("TransferSyntaxUID (0002,0010)", True),
        ("OverlayData (6000,3000)", False),
        ("PatientName (0010,0010)", False),
        ("SOPInstanceUID (0008,0018)", False),
        ("ImageComments (0020,4000)", False),
        ("(0029,1010)", False),
        ("a name without a tag", False),
    ],
)
def test_only_what_describes_the_picture_may_be_copied_out(name: str, may: bool) -> None:
    assert may_leave(name) is may
