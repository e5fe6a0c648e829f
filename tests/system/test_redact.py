"""Secrets do not reach files."""

from __future__ import annotations

import base64
import resource
import stat
from pathlib import Path
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from chaos.system.environment import minimal_environment
from chaos.system.redact import MARK, Redactor, environment_secrets
from chaos.system.secret import Secret, random_secret

SECRETS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=8, max_size=40)


@given(SECRETS, st.binary(max_size=5), st.binary(max_size=5))
def test_no_form_of_a_secret_survives(secret: str, before: bytes, after: bytes) -> None:
    """Plain, percent-encoded, or in base64 together with neighbours: it is found and replaced."""
    redactor = Redactor([secret])
    raw = secret.encode()
    for form in (secret, quote(secret, safe=""), quote_plus(secret)):
        assert form not in redactor.text(f"a {form} b").replace(MARK, "")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        encoded = encode(before + raw + after)
        assert redactor.finds(encoded)
        assert not redactor.finds(redactor.data(encoded))


@given(st.lists(SECRETS, max_size=4), st.text(max_size=60))
def test_text_and_bytes_agree(secrets: list[str], text: str) -> None:
    """Redacting text or its bytes is the same, and doing it twice changes nothing."""
    redactor = Redactor([*secrets, "s3cret-value"])
    once = redactor.text(text + "s3cret-value")
    assert "s3cret-value" not in once
    assert redactor.data((text + "s3cret-value").encode("utf-8", "surrogatepass")) == once.encode(
        "utf-8", "surrogatepass"
    )


def test_dsn_hides_its_password_too() -> None:
    """A DSN is a secret as a whole, and so is the password in it, encoded or not."""
    redactor = Redactor(["postgres://user:p%40ssw0rd!@db:5432/x"])
    shown = redactor.text("postgres://user:p%40ssw0rd!@db:5432/x p@ssw0rd! p%40ssw0rd!")
    assert "ssw0rd" not in shown


def test_nothing_secret_changes_nothing() -> None:
    """Without secrets, or with ones too short to tell from text, everything stays."""
    assert Redactor([]).text("all stays") == "all stays"
    assert Redactor(["a", ""]).text("banana") == "banana"


def test_words_of_our_records_are_not_hidden() -> None:
    """A throw-away password such as `postgres` must not wreck link names; the DSN around it goes as a whole."""
    found = environment_secrets({"POSTGRES_PASSWORD": "postgres", "DB_DSN": "postgres://u:postgres@h/d"})
    assert Redactor(found).text("rag>postgres at postgres://u:postgres@h/d") == f"rag>postgres at {MARK}"


def test_environment_secrets_are_found_by_name_and_by_url() -> None:
    """Names that look like credentials, and passwords inside URLs under any name."""
    found = environment_secrets(
        {
            "GITHUB_TOKEN": "ghp-canary-1",
            "DB_PASSWORD": "canary-2",
            "PGPASSWORD": "canary-3",
            "OPENAI_API_KEY": "canary-4",
            "DATABASE_URL": "postgres://u:canary-5@h/d",
            "POSTGRES_DSN": "postgres://u:canary-6@h/d",
            "BROKER": "amqp://u:canary-7@h",
            "AWS_SECRET_ACCESS_KEY": "canary-8",
            "PATH": "/usr/bin:/bin",
            "PWD": "/home/somebody",
            "KEYBOARD": "qwertyuiop",
            "EDITOR": "/usr/bin/vi",
        }
    )
    joined = " ".join(found)
    assert all(f"canary-{number}" in joined for number in range(1, 9))
    assert not {"/usr/bin:/bin", "/home/somebody", "qwertyuiop", "/usr/bin/vi"} & found


def test_children_get_no_secrets_of_ours() -> None:
    """The environment of children holds paths and locale, no tokens."""
    env = minimal_environment(
        {
            "PATH": "/bin",
            "HOME": "/h",
            "LC_ALL": "C",
            "PYTHONPATH": "x",
            "PYTHONDONTWRITEBYTECODE": "1",
            "GITHUB_TOKEN": "t",
            "PGPASSWORD": "p",
            "DATABASE_URL": "u",
        }
    )
    assert env == {"PATH": "/bin", "HOME": "/h", "LC_ALL": "C", "PYTHONPATH": "x"}


def test_files_are_scrubbed_in_place(tmp_path: Path) -> None:
    """A log that held a secret keeps everything else and its mode; clean files and links are not touched."""
    dirty, clean = tmp_path / "dirty.log", tmp_path / "sub" / "clean.log"
    clean.parent.mkdir()
    dirty.write_bytes(b"start\nlogin with hunter2hunter2\n\xff\xfeend\n")
    dirty.chmod(0o640)
    clean.write_text("nothing here")
    (tmp_path / "link.log").symlink_to(dirty)
    inode = clean.stat().st_ino
    assert Redactor(["hunter2hunter2"]).scrub_tree(tmp_path) == (dirty,)
    assert dirty.read_bytes() == b"start\nlogin with " + MARK.encode() + b"\n\xff\xfeend\n"
    assert stat.S_IMODE(dirty.stat().st_mode) == 0o640
    assert clean.stat().st_ino == inode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dirty.log", "link.log", "sub"]


def test_secret_does_not_show_itself() -> None:
    """Only `reveal` tells, and two random ones differ."""
    one, two = random_secret(), random_secret()
    assert one != two
    assert one == Secret(one.reveal())
    assert one.reveal() not in f"{one} {one!r} {[one]}"


def test_a_file_that_cannot_be_rewritten_is_removed(tmp_path: Path) -> None:
    """On a full disk a log that holds a secret is worse than none."""
    log = tmp_path / "rag.log"
    log.write_text("x" * 5000 + " hunter2hunter2")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        assert Redactor(["hunter2hunter2"]).scrub_tree(tmp_path) == (log,)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []
