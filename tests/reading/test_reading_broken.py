"""Broken files: every problem is told at its place, all of a file at once, and nothing ends in a traceback."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from chaos.errors import ScenarioError
from chaos.model.reading import Vocabulary, read_link_map, read_scenario
from chaos.model.scenario import LinkMap

FOLDER = Path(__file__).parents[1] / "data/broken"
FILES = sorted(FOLDER.glob("*.yaml"))
LOCATED = re.compile(r"[^:\n]+:[0-9]+:[0-9]+: [^\n]+; [^\n]+")


def told(text: str | bytes, source: str, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> list[str]:
    """The problems of a scenario that cannot be read."""
    with pytest.raises(ScenarioError) as caught:
        read_scenario(text, source=source, vocabulary=vocabulary, load_links=load_links)
    return list(caught.value.problems)


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_broken_file(path: Path, vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
    """Each broken file gives exactly the problems in the text file beside it."""
    problems = told(path.read_bytes(), path.name, vocabulary, load_links)
    assert problems == path.with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    assert all(LOCATED.fullmatch(problem) for problem in problems)


def test_there_are_many() -> None:
    """The collection does not shrink unnoticed."""
    assert len(FILES) >= 140


def test_a_file_of_a_megabyte_is_refused(vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
    """Size is judged before anything is parsed."""
    assert told(b"#" * 1_000_001, "big.yaml", vocabulary, load_links) == [
        "big.yaml:1:1: the file is over 1 MB; split the drill into several scenarios"
    ]


def test_a_file_of_nearly_a_megabyte_is_read(vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
    """Just below, a file of comments around a drill is fine."""
    drill = (Path(__file__).parents[2] / "scenarios/smoke.yaml").read_bytes()
    text = drill + b"# comment\n" * 99_000
    assert read_scenario(text, source="big.yaml", vocabulary=vocabulary, load_links=load_links).name == "smoke"


def test_many_values_are_refused(vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
    """A list of a hundred thousand values is given up on, at the list."""
    text = "seed: [" + "1," * 100_000 + "]\n"
    assert told(text, "big.yaml", vocabulary, load_links)[0].startswith("big.yaml:1:7: more than 20000 values;")


def test_a_flood_of_problems_is_cut(vocabulary: Vocabulary, load_links: Callable[[str], LinkMap]) -> None:
    """Fifty problems are told, and how many more there are."""
    problems = told("".join(f"key{i}: 1\n" for i in range(500)), "x.yaml", vocabulary, load_links)
    assert len(problems) == 51
    assert problems[-1] == "x.yaml:500:1: and 453 more; mend these first"


def test_the_same_problem_of_a_link_map_alone() -> None:
    """A link map is read with the same care by itself."""
    with pytest.raises(ScenarioError) as caught:
        read_link_map(b"link: {}\n", source="dir/mine.yaml")
    assert caught.value.problems == ("dir/mine.yaml:1:1: a link map has no 'link'; did you mean links?",)


@pytest.mark.parametrize("text", [b"", b"\x00", b"[]", b"links: {}", b"links: []", b"links:\n  a>b:\n", b"- a>b"])
def test_link_maps_that_are_none(text: bytes) -> None:
    """Nothing, rubbish and lists are located problems."""
    with pytest.raises(ScenarioError) as caught:
        read_link_map(text, source="mine.yaml")
    assert all(LOCATED.fullmatch(problem) for problem in caught.value.problems)
