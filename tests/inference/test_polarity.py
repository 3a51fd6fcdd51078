"""What a network is shown has the polarity of the screen, whatever mixture of attributes a file carries."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cxr_viewer.core.image import ImageKey, Radiograph, Rescale
from cxr_viewer.imaging.render import render_grey
from cxr_viewer.inference.preprocess import model_grey


@pytest.mark.parametrize("slope", [1.0, -1.0])
@pytest.mark.parametrize("shape", ["", "IDENTITY", "INVERSE"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_network_sees_white_what_the_reader_sees_white(photometric: str, shape: str, slope: float) -> None:
    """MONOCHROME1 with INVERSE is what a digital X-ray has to carry (PS3.3 C.8.11.3.1.2); it is inverted once."""
    ramp = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    film = Radiograph(
        key=ImageKey("1", "2", "3"),
        path=Path("film.dcm"),
        stored=ramp,
        bits_stored=8,
        photometric=photometric,
        modality="DX",
        presentation_lut_shape=shape,
        modality_lut=Rescale(slope, 0.0),
    )
    on_screen = render_grey(film, None, False).astype(float)
    assert np.corrcoef(model_grey(film).ravel(), on_screen.ravel())[0, 1] > 0.99
