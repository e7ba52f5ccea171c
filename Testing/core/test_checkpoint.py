"""Checkpoints: what was saved comes back, and whatever else is in a file is refused before it can do anything."""

import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.errors import InputError
from MetaAffineRegLib.initializer import Initializer, InitializerConfig
from MetaAffineRegLib.model_card import available_models, read_card

CARD = {"task": "made", "figures": {"validation_mse4_mean": 0.5}}


def network(d=2, levels=(16, 32), steps=2):
    torch.manual_seed(1)
    return Initializer(InitializerConfig(d, levels, steps, gradient_input="direction"))


@pytest.fixture
def content(tmp_path):
    """What a good checkpoint holds, to be spoilt."""
    checkpoint.save(tmp_path / "good.pt", network(), CARD)
    return torch.load(tmp_path / "good.pt", weights_only=True)


def refused(path, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def spoilt(tmp_path, content):
    torch.save(content, tmp_path / "spoilt.pt")
    return tmp_path / "spoilt.pt"


@pytest.mark.parametrize("d", [2, 3])
def test_saved_network_comes_back(tmp_path, d):
    saved = network(d)
    checkpoint.save(tmp_path / "mine.pt", saved, CARD)
    model = checkpoint.load(tmp_path / "mine.pt")
    assert model.name == "mine" and model.card == CARD and model.network.config == saved.config
    assert not model.network.training
    for name, tensor in saved.state_dict().items():
        found = model.network.state_dict()[name]
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, tensor, rtol=2**-10, atol=1e-7)  # half precision: 11 bits


@pytest.mark.parametrize("gradient_input", ["raw", "direction"])
@pytest.mark.parametrize("data_term", ["mean_squares", "unexplained_content"])
def test_input_and_data_term_of_a_network_come_back(tmp_path, gradient_input, data_term):
    saved = Initializer(InitializerConfig(2, (16,), 2, gradient_input=gradient_input, data_term=data_term))
    checkpoint.save(tmp_path / "mine.pt", saved, CARD)
    config = checkpoint.load(tmp_path / "mine.pt").network.config
    assert (config.gradient_input, config.data_term) == (gradient_input, data_term)


def test_checkpoint_of_before_there_was_a_choice_reads_mean_squares(tmp_path, content):
    del content["config"]["data_term"]
    assert checkpoint.load(spoilt(tmp_path, content)).network.config.data_term == "mean_squares"
    for name in ("hands", "hands-onelevel", "heads"):
        assert "data_term" not in checkpoint.read(available_models()[name])["config"]
        assert checkpoint.load(name).network.config.data_term == "mean_squares"


def test_saved_twice_has_the_same_weights(tmp_path):
    """Half precision is rounded once: loading and saving again changes nothing."""
    checkpoint.save(tmp_path / "a.pt", network(), CARD)
    checkpoint.save(tmp_path / "b.pt", checkpoint.load(tmp_path / "a.pt").network, CARD)
    a, b = (checkpoint.load(tmp_path / name).network.state_dict() for name in ("a.pt", "b.pt"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_failed_save_leaves_the_earlier_file(tmp_path):
    checkpoint.save(tmp_path / "a.pt", network(), CARD)
    before = (tmp_path / "a.pt").read_bytes()
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        checkpoint.save(tmp_path / "a.pt", network(), CARD, extra=lambda: 0)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]


def test_shipped_models_load_and_carry_their_cards():
    models = available_models()
    assert {"hands", "hands-onelevel"} <= set(models)
    for name, path in models.items():
        model = checkpoint.load(name)
        assert model.name == name and path.stat().st_size < 400_000
        assert {"trained_on", "command", "data_licence", "figures", "version"} <= set(model.card)
        assert (len(model.network.config.levels) == 1) == name.endswith("-onelevel")


def test_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(InputError, match="There is no model 'nonesuch'; give a file or one of: .*hands"):
        checkpoint.load("nonesuch")


@pytest.mark.parametrize("data", [b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(100)], ids=["empty", "text", "picture"])
def test_file_that_is_no_checkpoint(tmp_path, data):
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    refused(path, "is not a model checkpoint; choose a .pt file")


def test_zip_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.pt", "w") as archive:
        archive.writestr("readme.txt", "no model")
    refused(tmp_path / "x.pt", "can't be loaded as a model checkpoint: it is damaged or holds code")


def test_every_cut_of_the_file_is_refused(tmp_path, content):
    data = spoilt(tmp_path, content).read_bytes()
    path = tmp_path / "cut.pt"
    for share in (0.01, 0.5, 0.9, 0.99, 0.9999):
        path.write_bytes(data[: int(len(data) * share)])
        refused(path, "is not a model checkpoint|is damaged or holds code")


def test_damaged_bytes_never_get_past_the_loader(tmp_path, content):
    """Bytes of the pickle and of the directory turned over one after the other: refused, or the same model but for numbers."""
    data = bytearray(spoilt(tmp_path, content).read_bytes())
    path = tmp_path / "damaged.pt"
    start = data.find(b"data.pkl")
    generator = torch.Generator().manual_seed(0)
    places = [
        *(start + torch.randint(3000, (60,), generator=generator)).tolist(),
        *(len(data) - 1 - torch.randint(1500, (60,), generator=generator)).tolist(),
    ]
    outcomes = set()
    for place in places:
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            outcomes.add(type(checkpoint.load(path)))
        except InputError:
            outcomes.add(InputError)
    assert InputError in outcomes and outcomes <= {InputError, checkpoint.Model}


@pytest.mark.parametrize("program", [b"", b"0.", b"u.", b"K\x01Q."], ids=["empty", "pop of nothing", "items of nothing", "false tensor"])
def test_pickle_that_makes_no_sense(tmp_path, content, program):
    source = spoilt(tmp_path, content)
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(tmp_path / "x.pt", "w") as bad:
        for entry in good.infolist():
            bad.writestr(entry.filename, program if entry.filename.endswith("data.pkl") else good.read(entry))
    refused(tmp_path / "x.pt", "is damaged or holds code")


class Marker:
    """Its pickle calls a function when it is loaded as pickles usually are."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.touch, (self._path,)


def with_pickle(content, path, marker):
    """A checkpoint that is good but for one object that would touch ``marker``."""
    torch.save({**content, "card": {**CARD, "extra": Marker(marker)}}, path)


def test_code_in_a_checkpoint_is_never_run(tmp_path, content):
    path, marker = tmp_path / "evil.pt", tmp_path / "marker"
    with_pickle(content, path, marker)
    refused(path, "is damaged or holds code, which is never run; choose another file")
    assert not marker.exists()


def test_code_would_have_been_run_by_an_ordinary_loader(tmp_path, content):
    """Else the test above could not fail."""
    path, marker = tmp_path / "evil.pt", tmp_path / "marker"
    with_pickle(content, path, marker)
    torch.load(path, weights_only=False)
    assert marker.exists()


def test_bare_pickle_with_code(tmp_path):
    """Not in a zip at all, as old versions of torch wrote."""
    path, marker = tmp_path / "evil.pt", tmp_path / "marker"
    path.write_bytes(pickle.dumps(Marker(marker)))
    refused(path, "is not a model checkpoint")
    assert not marker.exists()


@pytest.mark.parametrize("other", [[1, 2], {"format": "another"}, {}], ids=["list", "another format", "empty"])
def test_data_of_another_program(tmp_path, other):
    refused(spoilt(tmp_path, other), "is not a model checkpoint of MetaAffineReg")


def test_version_of_another_release(tmp_path, content):
    refused(spoilt(tmp_path, {**content, "version": 99}), "has format version 99, this program reads version 1; use a model of this")


def test_missing_card(tmp_path, content):
    refused(spoilt(tmp_path, {**content, "card": None}), "has no model card")


SPOILT_WEIGHTS = {
    "of another size": lambda weights: {**weights, "L_in.weight": torch.zeros(3, 3)},
    "missing": lambda weights: {name: tensor for name, tensor in weights.items() if name != "L_in.weight"},
    "too many": lambda weights: {**weights, "L_more.weight": torch.zeros(3)},
    "no tensor": lambda weights: {**weights, "L_in.weight": "text"},
    "no weights": lambda weights: None,
}


@pytest.mark.parametrize("case", SPOILT_WEIGHTS)
def test_weights_that_do_not_fit(tmp_path, content, case):
    refused(spoilt(tmp_path, {**content, "weights": SPOILT_WEIGHTS[case](content["weights"])}), "weights that do not fit its configuration")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(tmp_path, content, value):
    content["weights"]["cells.1.bias_hh"][3] = value
    refused(spoilt(tmp_path, content), "weights that are not finite numbers; the file is damaged")


SPOILT_CONFIGS = {
    "text": "text",
    "lacks a number": {"levels": [16]},
    "one too many": {"dimension": 2, "levels": [16], "more": 1},
    "not whole": {"dimension": 2, "levels": [16], "steps": 2.5},
    "of four dimensions": {"dimension": 4, "levels": [16]},
    "of another input": {"dimension": 2, "levels": [16, 32], "steps": 2, "gradient_input": "raw"},
    "of another data term": {"dimension": 2, "levels": [16, 32], "steps": 2, "gradient_input": "direction", "data_term": "guess"},
}


@pytest.mark.parametrize("case", SPOILT_CONFIGS)
def test_configuration_that_makes_no_network(tmp_path, content, case):
    refused(spoilt(tmp_path, {**content, "config": SPOILT_CONFIGS[case]}), "do not fit its configuration")


_TELLING_MEMORY = """
import resource, sys
from MetaAffineRegLib import checkpoint
from MetaAffineRegLib.errors import InputError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for name in sys.argv[1:]:
    try:
        checkpoint.load(name)
    except InputError as error:
        print(error)
print("MiB:", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is told in kB by Linux only")
def test_huge_networks_are_refused_before_memory_is_taken(tmp_path, content):
    """Numbers beyond the limits, and the largest within them: a gigabyte of weights that the file does not hold."""
    configs = {
        "steps": {"dimension": 2, "levels": [16], "steps": 10**9},
        "expansion": {"dimension": 2, "levels": [16], "expansion": 10**6},
        "levels": {"dimension": 2, "levels": [16] * 10**5},
        "largest": {"dimension": 3, "levels": [16] * 8, "steps": 50, "expansion": 16},
    }
    paths = []
    for name, config in configs.items():
        paths.append(tmp_path / f"{name}.pt")
        torch.save({**content, "config": config}, paths[-1])
    package = Path(checkpoint.__file__).resolve().parents[1]
    ran = subprocess.run([sys.executable, "-c", _TELLING_MEMORY, *map(str, paths)], cwd=package, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("do not fit its configuration") == 4
    assert float(ran.stdout.split("MiB:")[1]) < 200


def test_archive_that_unpacks_to_far_more_than_it_is_is_refused(tmp_path, content):
    """A small file of zeros, packed: 72 MB once unpacked."""
    plain = spoilt(tmp_path, {**content, "extra": torch.zeros(18 << 20)})
    packed = tmp_path / "packed.pt"
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    plain.unlink()
    assert packed.stat().st_size < 2 << 20
    refused(packed, "is too large for a model checkpoint")


def test_card_is_read_without_torch():
    """The same card as torch reads, from an interpreter in which torch is not imported."""
    for path in available_models().values():
        assert read_card(path) == checkpoint.load(path).card
    code = (
        "import sys; from MetaAffineRegLib.model_card import available_models, read_card; "
        "assert all(read_card(path) for path in available_models().values()); assert 'torch' not in sys.modules"
    )
    folder = Path(__file__).resolve().parents[2] / "MetaAffineReg"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)


class Bomb:
    """Pickled as the order to make a file."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (open, (str(self.trace), "w"))


def test_card_of_a_file_with_code_runs_no_code(tmp_path):
    path, trace = tmp_path / "bomb.pt", tmp_path / "trace"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bomb/data.pkl", pickle.dumps({"card": {"data": Bomb(trace)}}))
    read_card(path)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_card_of_what_is_no_checkpoint_is_refused(tmp_path, content):
    path = tmp_path / "bad.pt"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("bad/data.pkl", pickle.dumps({"weights": {}}))
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match="not a model checkpoint"):
        read_card(path)
