"""The user's file: where it is looked for, and what its lines mean."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from qrmi_core import ConfigError
from qrmi_pasqal.cloud import profile

KEYS = ("username", "password", "token", "project_id")
_blanks = st.text(" \t", max_size=3)
_text = st.text(st.characters(exclude_characters="\n", codec="utf-8"), max_size=20)


def parsed(text: str) -> dict[str, str]:
    return profile.parse(text, KEYS)[0]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("token = abc", "abc"),
        ("  ToKeN=abc\r", "abc"),
        ("token = abc # x", "abc # x"),
        ("token = a = b", "a = b"),
        ('token = " p = 1#2 "', "p = 1#2"),
        ("token = 'abc'", "abc"),
        ("token = \"abc'", "\"abc'"),
        ('token = ""abc""', '"abc"'),
        (r'token = "a\"b"', r"a\"b"),
        ('token = "', '"'),
        ("token = '", "'"),
        ('token = ""', None),
        ("token = ' '", None),
        ("token =", None),
        ("token", None),
        ("# token = abc", None),
        (" ; token = abc", None),
        ("[token]", None),
        ("export token = abc", None),
        ("FRESNEL.token = abc", None),
        ("\ufefftoken = abc", None),
        ("token = first\ntoken = last", "last"),
        ("token = first\ntoken =", None),
    ],
)
def test_a_line_means(line: str, value: str | None) -> None:
    assert parsed(line).get("token") == value


@given(
    st.dictionaries(st.sampled_from(KEYS), _text.filter(lambda text: "\r" not in text)),
    st.lists(st.sampled_from(["", "[section]", "# a comment", "; another", "no equals sign"])),
    _blanks,
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(['"', "'"]),
    st.randoms(),
)
def test_what_is_written_in_quotes_is_read(
    values: dict[str, str],
    others: list[str],
    blanks: str,
    newline: str,
    quote: str,
    random: object,
) -> None:
    lines = [
        f"{blanks}{key.upper()}{blanks}={blanks}{quote}{value}{quote}{blanks}"
        for key, value in values.items()
    ] + others
    random.shuffle(lines)  # type: ignore[attr-defined]
    found, strange = profile.parse(newline.join(lines), KEYS)
    assert found == {key: value.strip() for key, value in values.items() if value.strip()}
    assert strange == []


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    found, strange = profile.parse(text, KEYS)
    assert found.keys() <= set(KEYS)
    assert all(value == value.strip() and value for value in found.values())
    assert all(1 <= number <= text.count("\n") + 1 for number in strange)


# --- where it is ---


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("~", "/home/me"),
        ("~/x", "/home/me/x"),
        ("~other/x", "~other/x"),
        ("/a/~", "/a/~"),
        ("$DIR/x", "/data/x"),
        ("${DIR}x", "/datax"),
        ("$DIRx", ""),
        ("/a$UNSET/b${UNSET}c", "/a/bc"),
        ("$$DIR", "$DIR"),
        ("/a$", "/a$"),
        ("/a$-b", "/a$-b"),
        ("$ /$.", "$ /$."),
        ("$$$DIR", "$/data"),
        ("$HIDDEN", "$DIR"),
    ],
)
def test_a_path_is_expanded(written: str, path: str) -> None:
    environment = {"HOME": "/home/me", "DIR": "/data", "HIDDEN": "$DIR"}
    assert profile.expand(written, environment) == path


@pytest.mark.parametrize("written", ["${DIR", "${}", "${a-b}", "/x/${", "$${"])
def test_a_malformed_path_is_an_error(written: str) -> None:
    if written.startswith("$$"):
        assert profile.expand(written, {}) == "${"
        return
    with pytest.raises(ConfigError, match="malformed environment variable in path"):
        profile.expand(written, {})


@given(st.text())
def test_any_path_is_expanded_or_refused(text: str) -> None:
    try:
        found = profile.expand(text, {"HOME": "/home/me"})
    except ConfigError:
        assert "${" in text
    else:
        assert "$" in text or found == text or text[0] == "~"


@given(st.text(st.characters(exclude_characters="$~")))
def test_a_path_without_signs_is_left_alone(text: str) -> None:
    assert profile.expand(text, {"HOME": "/home/me"}) == text
    assert profile.expand(text.replace("", "$$"), {}) == text.replace("", "$")


def test_a_home_that_asks_for_itself_is_that_of_the_user_database() -> None:
    home = pwd.getpwuid(os.getuid()).pw_dir
    assert profile.expand("~/x", {"HOME": "~"}) == f"{home}/x"
    assert profile.expand("~", {}) == home


def written(root: Path, text: str) -> str:
    (root / ".pasqal").mkdir(parents=True)
    (root / ".pasqal/config").write_text(text, encoding="utf-8")
    return str(root)


def test_the_first_file_there_is_counts_alone(tmp_path: Path) -> None:
    first = written(tmp_path / "first", "token = abc")
    second = written(tmp_path / "second", "token = xyz\nusername = me")
    assert profile.load([str(tmp_path), first, second], {}, KEYS) == {"token": "abc"}
    assert profile.load([str(tmp_path)], {}, KEYS) == {}


def test_a_file_that_cannot_be_read_is_passed_over_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bad = written(tmp_path / "bad", "")
    (tmp_path / "bad/.pasqal/config").write_bytes(b"token = \xff")
    (tmp_path / "folder/.pasqal/config").mkdir(parents=True)
    good = written(tmp_path / "good", "token = abc")
    roots = [bad, str(tmp_path / "folder"), good]
    assert profile.load(roots, {}, KEYS) == {"token": "abc"}
    assert "not UTF-8" in caplog.text
    assert "Is a directory" in caplog.text


def test_a_line_with_another_key_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    profile.load([written(tmp_path, "token = abc\nsecret = x")], {}, KEYS)
    assert "line 2 is ignored" in caplog.text


def test_lines_with_other_keys_are_named_by_their_number_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "token = abc\nsecret-part=x\n\npasword = xyz\n"
    profile.load([written(tmp_path, text)], {}, KEYS)
    assert "lines 2, 4 are ignored" in caplog.text
    for shown in ("secret-part", "pasword", "xyz", "abc"):
        assert shown not in caplog.text
