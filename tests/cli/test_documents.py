"""What the documents show is true: the scenario of the start page plans, and the commands named exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from chaos.cli import _COMMANDS, main
from tests.documents import ROOT, blocks

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "proxies").glob("*.md"))]


def test_the_start_pages_scenario_is_valid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The YAML on docs/start.md is accepted as it stands, and with the fault that the page adds to it."""
    scenario, fault = (block.text for block in blocks(ROOT / "docs/start.md") if block.language == "yaml")
    more = scenario.replace("  recovery:", f"{fault}  recovery:")
    for text in (scenario, more):
        (tmp_path / "mine.yaml").write_text(text)
        assert main(["validate", str(tmp_path / "mine.yaml")]) == 0, capsys.readouterr().err
    assert "2 faults" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Every relative link of a page is a file of the repository."""
    for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_links_to_headings_lead_somewhere(page: Path) -> None:
    """The part of a link after # is a heading of the page it leads to, spelt as GitHub does."""
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", page.read_text()):
        heads = re.findall(r"^#+ (.*)$", (page.parent / target if target else page).read_text(), re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert anchor in slugs, f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_shown_commands_exist(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every `chaos-drill WORD` in a code block is a command that is built."""
    for block in re.findall(r"```(?:bash|sh|console)\n(.*?)```", page.read_text(), re.DOTALL):
        for command in re.findall(r"chaos-drill ([a-z]+)", block):
            with pytest.raises(SystemExit) as exited:
                main([command, "--help"])
            assert exited.value.code == 0, f"{page.name} shows chaos-drill {command}"
            capsys.readouterr()


def test_the_readme_lists_every_command() -> None:
    """Each in the first column of the table, and no other."""
    table = (ROOT / "README.md").read_text().partition("| command | does |")[2].partition("\n\n")[0]
    firsts = " ".join(line.replace("\\|", " ").split("|")[1] for line in table.splitlines()[2:])
    assert sorted(re.findall(r"`(\w+)", firsts)) == sorted(_COMMANDS)


def test_the_readme_leads_to_every_page() -> None:
    """Each page of docs/ stands in its list, and each shipped drill is named."""
    text = (ROOT / "README.md").read_text()
    assert {path.name for path in (ROOT / "docs").glob("*.md")} == set(re.findall(r"\]\(docs/([\w-]+\.md)\)", text))
    drills = text.partition("Shipped drills")[2]
    assert {path.stem for path in (ROOT / "scenarios").glob("*.yaml")} <= set(re.findall(r"`([\w-]+)`", drills))


def test_the_architecture_page_is_short() -> None:
    """A newcomer reads it in one sitting: under sixty lines."""
    assert len((ROOT / "docs" / "architecture.md").read_text().splitlines()) < 60
