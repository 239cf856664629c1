"""Root uses no file and runs no command that another user could change."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qrmi_slurm import site as sites, trust
from support.forked import Ended
from support.slurm_site import SlurmSite

root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
SOMEBODY = 12345


# Paths


def _writable(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o002)


def _writable_above(path: Path) -> None:
    _writable(path.parent)


def _given_away(path: Path) -> None:
    os.chown(path, SOMEBODY, -1)


def _given_away_above(path: Path) -> None:
    os.chown(path.parent, SOMEBODY, -1)


def _of_a_group(path: Path) -> None:
    os.chown(path, -1, SOMEBODY)
    path.chmod(path.stat().st_mode | 0o020)


def _of_roots_group(path: Path) -> None:
    path.chmod(path.stat().st_mode | 0o020)  # an access control list entry for a user


def _behind_a_link(path: Path) -> None:
    """Create root's link to a link in a folder that everybody can change."""
    open_folder = path.parent / "open"
    open_folder.mkdir()
    kept = path.rename(path.parent / "kept")
    (open_folder / "link").symlink_to(kept)
    path.symlink_to("open/link")
    open_folder.chmod(0o777)


def _behind_a_link_of_another(path: Path) -> None:
    path.symlink_to(path.rename(path.parent / "kept").name)
    os.lchown(path, SOMEBODY, -1)


WAYS = [
    _writable,
    _writable_above,
    _behind_a_link,
    *(
        pytest.param(way, marks=root_only)
        for way in (
            *(_given_away, _given_away_above, _of_a_group, _of_roots_group),
            _behind_a_link_of_another,
        )
    ),
]


@pytest.mark.parametrize("way", WAYS)
def test_a_path_that_another_user_could_change_is_not_trusted(
    tmp_path: Path, way: Callable[[Path], None]
) -> None:
    path = tmp_path / "folder/file"
    path.parent.mkdir()
    path.touch()
    trust.check(str(path), strict=True)
    way(path)
    with pytest.raises(trust.Untrusted, match="(chmod go-w|chown it to root)"):
        trust.check(str(path), strict=True)


def test_links_of_root_are_followed(tmp_path: Path) -> None:
    for name in ("folder", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other/file").touch()
    (tmp_path / "relative").symlink_to("folder/../other")
    (tmp_path / "absolute").symlink_to(tmp_path / "relative")
    trust.check(str(tmp_path / "absolute/file"), strict=True)
    (tmp_path / "other").chmod(0o777)
    with pytest.raises(trust.Untrusted, match=f"others may write to {tmp_path}/other;"):
        trust.check(str(tmp_path / "absolute/file"), strict=True)


def test_a_relative_path_begins_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path / "folder")
    trust.check("file", strict=True)
    (tmp_path / "folder").chmod(0o777)
    with pytest.raises(trust.Untrusted, match=f"others may write to {tmp_path}/folder;"):
        trust.check("file", strict=True)
    (tmp_path / "folder").rmdir()
    trust.check(str(tmp_path / "file"), strict=True)


def test_links_that_lead_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="Too many levels"):
        trust.check(str(tmp_path / "a"))
    assert trust.problem(str(tmp_path / "a")) == (
        "cannot be used: Too many levels of symbolic links"
    )


def test_a_file_that_any_user_could_make_is_not_trusted_where_it_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "sticky"
    folder.mkdir()
    folder.chmod(0o1777)
    missing = str(folder / "file")
    trust.check(missing)
    with pytest.raises(trust.Untrusted, match=f"others may make {missing}"):
        trust.check(missing, strict=True)
    (folder / "file").touch()
    trust.check(missing, strict=True)


# The verbs


@pytest.fixture
def site(site: SlurmSite, monkeypatch: pytest.MonkeyPatch) -> SlurmSite:
    """Return a site with one folder per file, and with defaults other than the host's."""
    for key in ("config", "state", "accounting", "log", "slurm_bin"):
        default = str(site.folder / "default" / key)
        monkeypatch.setitem(sites.KEYS, key, (default, *sites.KEYS[key][1:]))
    for name in ("etc", "secret", "default", "usr"):
        (site.folder / name).mkdir()
    site.bin = site.bin.rename(site.folder / "usr/bin")
    site.settings.unlink()
    site.config.unlink()
    site.settings = site.folder / "etc/slurm.toml"
    site.config = site.folder / "secret/qrmi_config.json"
    site.configure()
    site.resources(site.entry("qpu_a"))
    return site


def _prolog(site: SlurmSite) -> Ended:
    ended = site.run("prolog", environment=site.environment("qpu=qpu_a"))
    assert ended.status == 0
    assert site.vendor.entries() == []
    status, variables, (printed,) = site.task()
    assert (status, variables) == (1, {})
    return Ended(ended.status, ended.output, printed)


def _prolog_of_another_node(site: SlurmSite) -> Ended:
    environment = site.environment("qpu=qpu_a", SLURMD_NODENAME="n2")
    ended = site.run("prolog", environment=environment)
    assert ended.status == 0
    assert list(site.folder.rglob("keys.71")) == []
    log = site.log if site.log.exists() else site.folder / "default/log"
    return Ended(ended.status, ended.output, log.read_text())


def _sweep(site: SlurmSite) -> Ended:
    ended = site.run("sweep", environment={})
    assert ended.status > 0
    assert len(site.vendor.held()) == 1
    return Ended(ended.status, ended.output, ended.errors + ended.output)


def _setup(site: SlurmSite) -> Ended:
    ended = site.run("setup", "--folder", str(site.folder / "new"), environment={})
    assert ended.status == 1
    assert not (site.folder / "new").exists()
    return ended


def _check(site: SlurmSite) -> Ended:
    ended = site.run("check", environment={})
    assert ended.status == 1
    assert site.vendor.entries("status") == []
    return Ended(ended.status, ended.output, ended.output)


VERBS = [
    *((_prolog, part) for part in ("settings", "config", "slurm_bin")),
    *((_prolog_of_another_node, part) for part in ("settings", "config", "slurm_bin")),
    *((_setup, part) for part in ("settings", "config")),
    *((_check, part) for part in ("settings", "config")),
]


def path_of(site: SlurmSite, part: str) -> Path:
    return {"settings": site.settings, "config": site.config, "slurm_bin": site.bin}[part]


@pytest.mark.parametrize(("verb", "part"), VERBS)
@pytest.mark.parametrize("way", [_writable, _writable_above])
def test_no_verb_uses_what_another_user_could_change(
    site: SlurmSite, verb: Callable[[SlurmSite], Ended], part: str, way: Callable[[Path], None]
) -> None:
    way(path_of(site, part))
    assert "is not used: " in verb(site).errors
    assert site.called("scontrol") == [] or part == "config"
    assert not site.state.exists() or part != "settings"


@pytest.mark.parametrize("part", ["settings", "config", "slurm_bin"])
def test_a_release_waits_until_only_root_can_change_what_it_uses(
    site: SlurmSite, part: str
) -> None:
    site.prolog("qpu=qpu_a")
    path = path_of(site, part)
    mode = path.stat().st_mode
    _writable(path)
    if part != "slurm_bin":  # The epilog runs no Slurm command.
        site.epilog()
        assert len(site.vendor.held()) == 1
    site.jobs()
    assert "is not used: " in _sweep(site).errors or part == "config"
    assert site.called("squeue") == [] or part == "config"
    path.chmod(mode)
    assert site.run("sweep", environment={}).status == 0
    assert site.vendor.held() == set()


def test_a_task_prolog_reads_no_state_that_untrusted_settings_name(site: SlurmSite) -> None:
    site.prolog("qpu=qpu_a")
    assert site.task()[1]
    _writable(site.settings)
    assert site.task() == (0, {}, [])


@pytest.mark.parametrize("way", [_writable, _behind_a_link])
def test_no_command_of_slurm_is_run_that_another_user_could_change(
    site: SlurmSite, way: Callable[[Path], None]
) -> None:
    way(site.bin / "scontrol")
    text = site.run("check", "--offline", environment={}).output
    assert "scontrol is not used: " in text
    assert site.called("scontrol") == []
    assert site.called("kept") == []
