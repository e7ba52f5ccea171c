"""``--data-term``: the words that both commands take are those of the library, they reach it, and any other is refused."""

import argparse

import pytest

from core.made_files import slice_pair
from core.made_images import affine, distance, lattice
from core.test_batch_command import folder  # noqa: F401
from core.test_register_command import matrix_of
from MetaAffineRegCLI import batch, register
from MetaAffineRegCLI.options import add_registration_options, settings_of
from MetaAffineRegLib.registration import Settings
from MetaAffineRegLib.searches import DATA_TERM_CHOICES

TRUTH = affine(40, (6, -4, 0))


def option():
    parser = argparse.ArgumentParser()
    add_registration_options(parser)
    return parser, next(action for action in parser._actions if "--data-term" in action.option_strings)


def test_words_are_those_of_the_library_and_auto_is_the_default():
    """The command line lists them itself, so that its help needs no torch."""
    parser, data_term = option()
    assert tuple(data_term.choices) == DATA_TERM_CHOICES
    assert settings_of(parser.parse_args([])).data_term == Settings().data_term == "auto"


@pytest.mark.parametrize("word", DATA_TERM_CHOICES)
def test_word_reaches_the_settings(word):
    parser, _ = option()
    assert settings_of(parser.parse_args(["--data-term", word])).data_term == word


@pytest.mark.parametrize("word", ["correlation", "local-correlation", "mutual-information"])
def test_files_are_registered_by_the_term_that_is_asked_for(tmp_path, word):
    fixed, moving = slice_pair(tmp_path, TRUTH)
    words = ["--output", str(tmp_path / "T.tfm"), "--data-term", word, "--rotation-range", "60"]
    assert register.main([str(fixed), str(moving), *words]) == 0
    assert distance(matrix_of(tmp_path / "T.tfm"), TRUTH, lattice((100, 80, 1), (1.0, 1.2, 3.0))) < 1.0


@pytest.mark.parametrize("words", [("--data-term", "holograms"), ("--data-term",), ("--compare", "edges")])
def test_other_words_are_refused_and_nothing_is_written(tmp_path, folder, capsys, words):  # noqa: F811
    fixed, moving = slice_pair(tmp_path, TRUTH)
    before = sorted(tmp_path.rglob("*"))
    commands = (
        (register, [str(fixed), str(moving), "--output", str(tmp_path / "T.tfm")]),
        (batch, [str(folder / "pairs.csv"), "--output-dir", str(folder / "out")]),
    )
    for module, own in commands:
        with pytest.raises(SystemExit) as ended:
            module.main([*own, *words])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert words[0] in said
        if words[-1] == "holograms":
            assert "holograms" in said and all(choice in said for choice in DATA_TERM_CHOICES)
    assert sorted(tmp_path.rglob("*")) == before
