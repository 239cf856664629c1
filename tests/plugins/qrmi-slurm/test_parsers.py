"""Parsers of Slurm's output, of settings and of records, on arbitrary input."""

from __future__ import annotations

import tomllib
from pathlib import Path

import attrs
import pytest
from hypothesis import given, settings, strategies as st

from qrmi_slurm import site, variables, words
from qrmi_slurm.job import UNLIMITED, Details, Job, limit_seconds
from qrmi_slurm.records import Acquisition, Record

# Lists of nodes

letters = st.text("abcxyz-", min_size=1, max_size=4).filter(lambda text: text[0] != "-")
numbers = st.integers(0, 999)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[str, str]:
    """Generate a bracket of a node list, with its first number."""
    width = draw(st.integers(1, 4))
    parts = []
    for _ in range(draw(st.integers(1, 3))):
        low = draw(numbers)
        high = draw(st.none() | st.integers(low + 1, low + 9))
        parts.append((f"{low:0{width}}", "" if high is None else f"-{high:0{width}}"))
    return "[" + ",".join(low + high for low, high in parts) + "]", parts[0][0]


@st.composite
def hosts(draw: st.DrawFn) -> tuple[str, str]:
    """Generate an element of a node list, with its first host."""
    text = first = draw(letters)
    for _ in range(draw(st.integers(0, 2))):
        bracket, number = draw(ranges())
        tail = draw(letters | st.just(""))
        text, first = text + bracket + tail, first + number + tail
    return text, first


@settings(deadline=None)
@given(st.lists(hosts(), min_size=1, max_size=4))
def test_the_first_host_is_the_first_that_slurm_would_name(found: list[tuple[str, str]]) -> None:
    assert words.first_host(",".join(text for text, _ in found)) == found[0][1]


@pytest.mark.parametrize(
    ("nodes", "host"),
    [
        ("n1", "n1"),
        ("n[1-2]", "n1"),
        ("n[03,05-07],login", "n03"),
        ("rack[1-2]n[05-06],x1", "rack1n05"),
        ("a,b[1-2]", "a"),
        ("", ""),
    ],
)
def test_the_first_host_of_a_list(nodes: str, host: str) -> None:
    assert words.first_host(nodes) == host


@settings(deadline=None)
@given(st.text())
def test_no_list_of_nodes_is_an_error(nodes: str) -> None:
    assert isinstance(words.first_host(nodes), str)


# Names

names = st.text(st.characters(exclude_characters=",=", exclude_categories=["Z", "C"]), min_size=1)


@settings(deadline=None)
@given(
    st.lists(names, min_size=1, max_size=5), st.text(), st.sampled_from([",", ", ", " ,", " , "])
)
def test_the_names_of_a_comment_are_found_among_its_words(
    wanted: list[str], rest: str, comma: str
) -> None:
    others = " ".join(word for word in rest.split() if not word.startswith(("qpu=", ",")))
    comment = f"{others} qpu={comma.join(wanted)} {others}"
    assert words.wanted(None, comment) == list(dict.fromkeys(wanted))


@pytest.mark.parametrize(
    ("option", "comment", "found"),
    [
        (None, "", None),
        (None, "qpu=", []),
        (None, "qpu=a,,a,b qpu=c,a", ["a", "b", "c"]),
        (None, "for Ada, qpu= a , b, c of mine, d", ["a", "b", "c"]),
        (None, "myqpu=a QPU=b", None),
        (" a , b ,", "qpu=c,a", ["a", "b", "c"]),
        ("", "", []),
    ],
)
def test_the_names_that_a_job_asks_for(
    option: str | None, comment: str, found: list[str] | None
) -> None:
    assert words.wanted(option, comment) == found


# Time limits


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(0, 23), st.integers(0, 59), st.integers(0, 59))
def test_a_time_limit_is_read_as_slurm_writes_it(
    days: int, hours: int, minutes: int, seconds: int
) -> None:
    text = f"{hours:02}:{minutes:02}:{seconds:02}"
    total = ((days * 24 + hours) * 60 + minutes) * 60 + seconds
    assert limit_seconds(f"{days}-{text}" if days else text) == total


@settings(deadline=None)
@given(st.text())
def test_what_is_no_time_limit_is_none(text: str) -> None:
    assert limit_seconds(text) <= UNLIMITED
    assert Details.from_text(text, 71).array_job_id is None or "ArrayJobId=" in text


@pytest.mark.parametrize(
    ("begin", "end", "seconds"),
    [
        ("1000", "1060", 60),
        ("1000", str(1000 + 365 * 86400), UNLIMITED),
        ("1000", "1000", UNLIMITED),
    ],
)
def test_the_time_limit_of_start_and_end(begin: str, end: str, seconds: int) -> None:
    details = Details.from_environment(
        {"SLURM_JOB_START_TIME": begin, "SLURM_JOB_END_TIME": end, "SLURM_ARRAY_JOB_ID": "7"}
    )
    assert details == Details(seconds, 7, None)


# Settings

lines = st.sampled_from(
    [
        'state = "/a"',
        "state='/a b'",
        'state = "/a" # where they are',
        'state = "/a\\u0041"',
        '"state" = "/quoted"',
        "state = 7",
        'state = "relative"',
        "state.x = 1",
        "[table]",
        "[[tables]]",
        'log = """',
        "log = '''",
        '"""',
        "'''",
        'log = "/l"',
        'log = "state = /b"',
        "# state = '/c'",
        'log_level = ["',
        "]",
        "x = [",
        "",
        "  state   =   '/spaces'   ",
        'state = "/unclosed',
        'state = "/one" "/two"',
        "colour = 'red'\r",
    ]
)


@settings(deadline=None)
@given(st.lists(lines, max_size=5))
def test_the_quick_look_at_settings_agrees_with_the_long_one(
    tmp_path_factory: pytest.TempPathFactory, found: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "slurm.toml"
    path.write_text("\n".join(found), newline="")
    loaded = site.load(str(path))
    assert site.state_folder(str(path)) == loaded.state
    try:
        values = tomllib.loads(path.read_text())
    except tomllib.TOMLDecodeError:
        assert loaded.problem
    else:
        state = values.get("state")
        right = isinstance(state, str) and state.startswith("/")
        assert loaded.state == (state if right else "/var/spool/qrmi-slurm")


@settings(deadline=None)
@given(st.binary())
def test_no_settings_are_so_broken_that_nothing_is_told(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "broken.toml"
    path.write_bytes(content)
    loaded = site.load(str(path))
    assert loaded.state == site.state_folder(str(path))
    assert loaded.problem is None or loaded.problem.startswith(str(path))


def test_a_file_that_is_not_there_is_a_problem_unless_it_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "none")
    assert "No such file" in str(site.load(path).problem)
    monkeypatch.setattr(site, "FILE", path)
    for usual in (None, path):  # referred to by the scripts that setup writes
        assert site.load(usual).problem is None


# Records

texts = st.text(max_size=20)
acquisitions = st.builds(
    Acquisition,
    texts,
    texts,
    texts,
    texts,
    texts,
    st.none() | texts,
    st.none() | texts,
    st.integers(0, 9),
    st.none() | texts,
)
jobs = st.builds(Job, numbers, numbers, numbers, numbers, texts, texts, texts)


@settings(deadline=None)
@given(jobs, st.lists(acquisitions, max_size=3), st.none() | numbers)
def test_a_record_is_read_as_it_was_written(
    job: Job, found: list[Acquisition], array: int | None
) -> None:
    record = Record(job, found, array, None)
    assert Record.from_json(record.to_json()) == record


@settings(deadline=None)
@given(st.binary() | st.sampled_from([b"[]", b"{}", b'{"job": {}}', b'{"job": 1}', b"null"]))
def test_a_damaged_record_is_one_kind_of_error(content: bytes) -> None:
    with pytest.raises(ValueError):
        Record.from_json(content)


def test_no_text_of_a_record_shows_a_token() -> None:
    acquisition = Acquisition("qpu_a", "qpu_a", "filed", "held", "now", token="the-token")
    assert "the-token" not in repr(acquisition)
    assert "the-token" in str(attrs.asdict(acquisition))


values = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["A", "B_C", "x-1"]), values))
def test_variables_are_exported_a_line_each(own: dict[str, str]) -> None:
    found = {"own": {"QRMI_JOB_ID": "7", **own}, "settings": []}
    exports = [line.removeprefix("export ") for line in variables.lines(found, {})]
    assert dict(line.split("=", 1) for line in exports) == found["own"]
