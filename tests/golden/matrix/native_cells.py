"""Cells of films as they come."""

from __future__ import annotations

from matrix.cell import Cell, Fault
from matrix.films import CANON, crop
from matrix.modality_cells import NEGATIVE

SYNTAXLESS = Fault("decodes no pixels without a Transfer Syntax UID", refuses=True)

NATIVE = (
    *(
        Cell(f"As it is: {name}", f"dicom/{name}", rule, faults=faults)
        for name, rule, faults in (
            ("cr_barre_fuji_pa_mono1_10bit.dcm", "C.11.2.1.2.1", {}),
            ("cr_barre_fuji_pa_mono1_10bit_NOPREAMBLE.dcm", "C.11.2.1.2.1", {"pydicom": SYNTAXLESS}),
            ("cr_philips_rg1_pa_mono1_15bit_j2klossy.dcm", "C.11.2.1.2.1", {}),
            ("cr_rsna_ap_viral2_jpegbaseline.dcm", "C.11.1", {}),
            ("cr_rsna_pa_normal2_jpegbaseline.dcm", "C.11.1", {}),
            ("dx_canon_pa_mono1_12bit_j2klossless.dcm", "C.11.6.1.2", {}),
            ("dx_lidc0005_lateral_ge_j2klossless_14bit.dcm", "C.11.2.1.2.1", {}),
            ("dx_nih_00000001_000_pa_cardiomegaly.dcm", "C.11.1", {}),
            ("dx_nih_00000002_000_pa_nofinding_nhsx.dcm", "C.11.1", {}),
            ("dx_nih_00002527_nodule_f37.dcm", "C.11.1", {}),
            ("dx_nih_udacity_test1_nofinding.dcm", "C.11.1", {}),
            ("dx_nih_udacity_test2_cardiomegaly.dcm", "C.11.1", {}),
            ("dx_nih_udacity_test4_bodypart_RIBCAGE.dcm", "C.11.1", {}),
            ("dx_nih_udacity_test5_modality_says_CT.dcm", "C.11.1", {}),
            ("syn_dx_canon_imagerspacing_only_magnification.dcm", "C.11.6.1.2", {}),
            ("syn_dx_canon_presentationlut_inverse.dcm", "C.11.6.1.2", {}),
            ("syn_dx_canon_sigmoid_window.dcm", "C.11.2.1.3.1", {}),
            ("tx_dx_canon_htj2k_lossless.dcm", "C.11.6.1.2", {}),
        )
    ),
    *(
        Cell(f"As it is: media set, {place}", f"dicom/media_set_dicomdir/{place}/IM000000", "C.11.1")
        for place in (
            *("PT000000/ST000000/SE000000", "PT000000/ST000001/SE000000"),
            *("PT000001/ST000000/SE000000", "PT000001/ST000001/SE000000"),
        )
    ),
    *(
        Cell(f"As it is: {name}", f"dicom-other/{name}", rule)
        for name, rule in (
            ("cr_hand_kodak.dcm", "C.11.2.1.2.1"),
            ("ct_scout_like_barre_ct_chest.dcm", "C.11.2.1.2.1"),
            ("ct_small.dcm", "C.7.5.1.1.2"),
            ("mr_small.dcm", "C.11.2.1.2.1"),
        )
    ),
    *(
        Cell(f"As it is: {name}", f"resources/samples/{name}", "C.11.1")
        for name in ("adult-1-no-finding.dcm", "adult-2-cardiomegaly.dcm", "adult-3-nodule.dcm")
    ),
    Cell(
        "Rescale slope -1 of a real CR",
        "hostile/slope_neg.dcm",
        "C.11.1.1.2",
        faults={"pydicom": NEGATIVE},
    ),
    Cell("Near-lossless JPEG-LS of a CR", "hostile/pydicom_pylibjpeg-data__RG2_JLSN.dcm", "C.11.2.1.2.1"),
    Cell("12-bit lossy JPEG of a CR", "hostile/pydicom_pylibjpeg-data__RG2_JPLY_fixed.dcm", "C.11.2.1.2.1"),
    Cell("A small DX of another program", "hostile/ImagingDataCommons_highdicom__dx_image.dcm", "C.11.6.1.2"),
    Cell(
        "Rescale slope 3.774114 of an MR",
        "hostile/robyoung_dicom-test-files__MR2_JPLY",
        "C.11.1.1.2",
    ),
    Cell("Canon film cropped, its own window", CANON, "C.11.6.1.2", (crop(),)),
)
