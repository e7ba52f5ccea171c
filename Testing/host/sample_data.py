"""The part of the module ``SampleData`` that is in use: the list of what is offered, and what is made rather than downloaded."""

import types
from typing import Any

import slicer


class SampleDataSource:
    def __init__(
        self,
        sampleName: str | None = None,
        uris: Any = None,
        fileNames: Any = None,
        nodeNames: Any = None,
        checksums: Any = None,
        thumbnailFileName: str | None = None,
        customDownloader: Any = None,
    ) -> None:
        self.sampleName, self.thumbnailFileName, self.customDownloader = sampleName, thumbnailFileName, customDownloader
        if isinstance(uris, (list, tuple)):
            nodeNames, checksums = ([None] * len(uris) if one is None else one for one in (nodeNames, checksums))
        elif isinstance(uris, str):
            uris, fileNames, nodeNames, checksums = [uris], [fileNames], [nodeNames], [checksums]
        self.uris, self.fileNames, self.nodeNames, self.checksums = uris, fileNames, nodeNames, checksums
        if not len(uris) == len(fileNames) == len(nodeNames) == len(checksums):
            raise ValueError("All fields of sample data source must have the same length")


class SampleDataLogic:
    @staticmethod
    def registerCustomSampleDataSource(category: str = "Custom", **fields: Any) -> None:
        sources = slicer.modules.__dict__.setdefault("sampleDataSources", {}).setdefault(category, [])
        source = SampleDataSource(**fields)
        if source.sampleName not in [other.sampleName for other in sources]:
            sources.append(source)


def make_sample_data_module() -> types.ModuleType:
    module = types.ModuleType("SampleData")
    module.SampleDataLogic, module.SampleDataSource = SampleDataLogic, SampleDataSource
    return module
