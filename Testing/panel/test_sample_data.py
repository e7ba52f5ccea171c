"""Sample data: registered when the application is up, made or downloaded with a checksum."""

import re

import slicer

from MetaAffineRegWidgets import sample_data


def sources():
    import MetaAffineReg

    MetaAffineReg.registerSampleData()
    MetaAffineReg.registerSampleData()
    return {source.sampleName: source for source in slicer.modules.sampleDataSources["MetaAffineReg"]}


def test_both_samples_are_offered_once(panel):
    assert set(sources()) == {sample_data.PHANTOM, sample_data.TUMOR}
    assert len(slicer.modules.sampleDataSources["MetaAffineReg"]) == 2


def test_phantom_is_made_without_a_network(panel):
    source = sources()[sample_data.PHANTOM]
    nodes = source.customDownloader(source)
    assert [node.GetName() for node in nodes] == ["Phantom fixed", "Phantom moving"]
    assert all(node.GetScene() is slicer.mrmlScene for node in nodes)
    for view in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode"):
        assert [view.GetBackgroundVolumeID(), view.GetForegroundVolumeID()] == [node.GetID() for node in nodes]


def test_downloads_have_a_checksum_each(panel):
    source = sources()[sample_data.TUMOR]
    assert len(source.uris) == len(source.checksums) == len(source.nodeNames) == len(source.fileNames) == 2
    for uri, checksum in zip(source.uris, source.checksums, strict=True):
        digest = re.fullmatch("SHA256:([0-9a-f]{64})", checksum).group(1)
        assert uri.startswith("https://") and uri.endswith(digest)
