"""Sample data for the tutorial, registered in Slicer's module Sample Data."""

import os
from typing import Any

import slicer
import slicer.util

from MetaAffineRegMRML.sample_volumes import make_sample

CATEGORY = "MetaAffineReg"
PHANTOM, TUMOR = "MetaAffineRegPhantom", "MetaAffineRegBrainTumor"
_URL = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"
# Two visits of one patient, from the Registration Library of Slicer: its own samples MRBrainTumor1 and MRBrainTumor2.
_VISITS = (
    ("MRBrainTumor1", "RegLib_C01_1.nrrd", "998cb522173839c78657f4bc0ea907cea09fd04e44601f17c82ea27927937b95"),
    ("MRBrainTumor2", "RegLib_C01_2.nrrd", "1a64f3f422eb3d1c9b093d1a18da354b13bcf307907c66317e2463ee530b7a97"),
)


def register(iconsFolder: str) -> None:
    """Add a pair that is made here, which needs no network, and a pair of head volumes to download."""
    import SampleData

    source = SampleData.SampleDataLogic.registerCustomSampleDataSource
    thumbnail = os.path.join(iconsFolder, "MetaAffineReg.png")
    # Slicer counts the files of what is made, too: without lists its constructor raises, and nothing at all would be offered.
    source(category=CATEGORY, sampleName=PHANTOM, thumbnailFileName=thumbnail, customDownloader=loadPhantom, uris=[], fileNames=[])
    source(
        category=CATEGORY,
        sampleName=TUMOR,
        thumbnailFileName=thumbnail,
        uris=[_URL + digest for _name, _file, digest in _VISITS],
        fileNames=[file for _name, file, _digest in _VISITS],
        nodeNames=[name for name, _file, _digest in _VISITS],
        checksums=[f"SHA256:{digest}" for _name, _file, digest in _VISITS],
    )


def makePhantom() -> list[Any]:
    """The pair of volumes that needs no network."""
    return make_sample(slicer.mrmlScene)


def loadPhantom(_source: Any) -> list[Any]:
    """What the button in Sample Data does: the pair is made and, as any volume that is loaded, shown; here one over the other."""
    fixed, moving = made = makePhantom()
    slicer.util.setSliceViewerLayers(background=fixed, foreground=moving, foregroundOpacity=0.5, fit=True)
    return made
