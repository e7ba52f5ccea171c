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
        lists = [[one] if not isinstance(one, (list, tuple)) else list(one) for one in (uris, fileNames, nodeNames, checksums)]
        self.uris, self.fileNames, self.nodeNames, self.checksums = lists
        if len({len(one) for one in lists}) != 1:
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
    module.SampleDataLogic = SampleDataLogic
    return module
