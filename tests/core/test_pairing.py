"""Which files of one folder belong together."""

from __future__ import annotations

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sorawatch.core.pairing import (
    IMAGE_SUFFIXES,
    SIDECAR_SUFFIXES,
    Match,
    Pairing,
    fold,
    is_defaults,
    is_junk,
    is_yaml,
    pair,
    sidecar_stem,
    why_unused,
)
from tests.support import texts

NFC, NFD = "caf\N{LATIN SMALL LETTER E WITH ACUTE}", "cafe\N{COMBINING ACUTE ACCENT}"
UNDECODABLE = os.fsdecode(b"caf\xe9")


def pairs(*names: str) -> dict[str, str | None]:
    """Image to sidecar, where all is well."""
    found = pair(names)
    assert not found.unknown
    assert not any(match.conflict for match in found.matches)
    return {match.image: match.sidecar for match in found.matches}


def conflicts(*names: str) -> dict[str, str]:
    return {match.image: match.conflict for match in pair(names).matches}


@pytest.mark.parametrize(
    ("image", "sidecar"),
    [
        ("beach.jpg", "beach.yaml"),
        ("beach.jpg", "beach.yml"),
        ("beach.jpg", "beach.txt"),
        ("beach.jpg", "beach.jpg.yaml"),
        ("beach.jpg", "beach.jpg.txt"),
        ("beach.jpg", "beach.yaml.txt"),
        ("beach.jpg", "beach.yml.txt"),
        ("beach.jpg", "beach.txt.txt"),
        ("beach.jpg", "beach.jpg.yaml.txt"),
        ("beach.jpg", "Beach.YAML.Txt"),
        (f"{NFD}.jpg", f"{NFC}.jpg.yml.txt"),
        ("Beach.JPG", "beach.Yaml"),
        ("beach.jpg", "BEACH.JPG.YML"),
        ("beach.HEIC", "beach.yaml"),
        ("my.beach.photo.png", "my.beach.photo.yaml"),
        ("beach.jpg.png", "beach.jpg.yaml"),
        (f"{NFC}.jpg", f"{NFD}.yaml"),
        (f"{NFD}.jpg", f"{NFC}.jpg.yaml"),
        (f"{NFD.upper()}.jpg", f"{NFC}.yaml"),
        ("STRASSE.jpg", "straße.yaml"),
        (f"{UNDECODABLE}.jpg", f"{UNDECODABLE}.yaml"),
        ("two\nlines.jpg", "two\nlines.yaml"),
        ("-rf.jpg", "-rf.yaml"),
        ("--.jpg", "--.jpg.yaml"),
        (" .jpg", " .yaml"),
        ("PAUSE.jpg", "pause.yaml"),
        ("[a-z]*.jpg", "[a-z]*.yaml"),
    ],
)
def test_what_belongs_together(image: str, sidecar: str) -> None:
    assert pairs(image, sidecar) == {image: sidecar}
    assert pairs(sidecar, image) == {image: sidecar}


@pytest.mark.parametrize(
    "sidecar",
    [
        "beach.png.yaml",
        "bea.yaml",
        "beach .yaml",
        "beach.jpg.jpg.yaml",
        "beach.yaml.yaml",
        "each.yaml",
        "beach.png.yaml.txt",
    ],
)
def test_what_does_not_belong_together(sidecar: str) -> None:
    assert pair(["beach.jpg", sidecar]) == Pairing((Match("beach.jpg", None),), without_image=(sidecar,), unknown=())


def test_names_in_a_dead_encoding_are_not_mistaken_for_their_like() -> None:
    assert pairs(f"{UNDECODABLE}.jpg", f"{NFC}.yaml") == {f"{UNDECODABLE}.jpg": None}


def test_an_image_without_a_sidecar_stands_alone() -> None:
    assert pair(["beach.jpg"]) == Pairing((Match("beach.jpg", None),), (), ())


def test_nothing_is_nothing() -> None:
    assert pair([]) == Pairing((), (), ())


def test_a_sidecar_with_the_images_whole_name_comes_before_one_with_its_stem() -> None:
    found = pair(["beach.jpg", "beach.jpg.yaml", "beach.yaml"])
    assert found == Pairing((Match("beach.jpg", "beach.jpg.yaml"),), without_image=("beach.yaml",), unknown=())


def test_a_second_sidecar_with_the_stem_is_told_which_one_is_used() -> None:
    pairing = pair(["beach.jpg", "beach.jpg.yaml", "Beach.txt", "hill.txt"])
    assert why_unused(pairing)["Beach.txt"] == "has no effect: beach.jpg already has the sidecar beach.jpg.yaml"
    assert why_unused(pairing)["hill.txt"] == "no image of this name"


def test_a_file_that_is_not_read_is_told_of_with_its_sidecar() -> None:
    found = why_unused(pair(["DSC_1.NEF", "DSC_1.yaml", "notes.doc", "notes.doc.txt", "hill.txt"]))
    assert found == {
        "DSC_1.NEF": (
            "a raw photo of a Nikon camera (NEF), which is not read. Export it as a JPEG from a raw converter, such as"
            " darktable, or from the program of the camera. Its sidecar DSC_1.yaml waits for a picture"
        ),
        "notes.doc": "not a picture format sorawatch reads. Its sidecar notes.doc.txt waits for a picture",
        "hill.txt": "no image of this name",
    }


def test_the_stem_is_left_to_the_only_image_that_has_no_sidecar_of_its_own() -> None:
    assert pairs("beach.jpg", "beach.png", "beach.jpg.yaml", "beach.yaml") == {
        "beach.jpg": "beach.jpg.yaml",
        "beach.png": "beach.yaml",
    }


def test_each_image_can_have_its_own() -> None:
    assert pairs("beach.jpg", "beach.png", "beach.jpg.yaml", "beach.png.txt") == {
        "beach.jpg": "beach.jpg.yaml",
        "beach.png": "beach.png.txt",
    }


def test_images_of_one_name_do_not_conflict_where_nothing_is_to_be_shared() -> None:
    assert pairs("beach.jpg", "beach.png") == {"beach.jpg": None, "beach.png": None}


def test_two_images_for_one_sidecar_are_told_apart_by_nobody() -> None:
    why = "beach.jpg and beach.png both match beach.yaml. Give each its own sidecar: beach.jpg.yaml, beach.png.yaml"
    assert pair(["beach.jpg", "beach.png", "beach.yaml"]).matches == (
        Match("beach.jpg", "beach.yaml", why),
        Match("beach.png", "beach.yaml", why),
    )


def test_three_images_for_one_sidecar() -> None:
    told = conflicts("a.gif", "a.jpg", "a.png", "a.yml")
    assert set(told.values()) == {
        "a.gif and a.jpg and a.png all match a.yml. Give each its own sidecar: a.gif.yaml, a.jpg.yaml, a.png.yaml"
    }


def test_as_many_sidecars_as_images_are_no_help_if_they_share_a_name() -> None:
    told = conflicts("beach.jpg", "beach.png", "beach.yaml", "beach.txt")
    assert set(told.values()) == {
        "beach.jpg and beach.png both match beach.txt. Give each its own sidecar: beach.jpg.yaml, beach.png.yaml"
    }


def test_two_sidecars_for_one_image_are_told_apart_by_nobody() -> None:
    assert conflicts("beach.jpg", "beach.yaml", "beach.txt") == {
        "beach.jpg": f"beach.jpg has 2 sidecars, beach.txt and beach.yaml. {texts.KEEP_ONE_SIDECAR}"
    }
    assert conflicts("beach.jpg", "beach.yaml", "beach.yaml.txt") == {
        "beach.jpg": f"beach.jpg has 2 sidecars, beach.yaml and beach.yaml.txt. {texts.KEEP_ONE_SIDECAR}"
    }
    assert conflicts("beach.jpg", "beach.jpg.yml", "Beach.jpg.yaml", "beach.yaml") == {
        "beach.jpg": f"beach.jpg has 2 sidecars, Beach.jpg.yaml and beach.jpg.yml. {texts.KEEP_ONE_SIDECAR}"
    }


class TestNamesThatDifferInCaseOrFormAlone:
    def test_are_told_apart_where_each_has_its_own(self) -> None:
        assert pairs("Beach.jpg", "beach.jpg", "Beach.yaml", "beach.yaml") == {
            "Beach.jpg": "Beach.yaml",
            "beach.jpg": "beach.yaml",
        }
        assert pairs(f"{NFC}.jpg", f"{NFD}.jpg", f"{NFC}.jpg.yaml", f"{NFD}.jpg.yaml") == {
            f"{NFC}.jpg": f"{NFC}.jpg.yaml",
            f"{NFD}.jpg": f"{NFD}.jpg.yaml",
        }

    def test_are_told_apart_by_sidecars_with_two_suffixes(self) -> None:
        assert pairs("Beach.jpg", "beach.jpg", "Beach.yaml.txt", "beach.txt") == {
            "Beach.jpg": "Beach.yaml.txt",
            "beach.jpg": "beach.txt",
        }

    def test_conflict_where_one_sidecar_could_be_either(self) -> None:
        told = conflicts("Beach.jpg", "beach.jpg", "beach.yaml")
        assert set(told) == {"Beach.jpg", "beach.jpg"}
        assert set(told.values()) == {
            "Beach.jpg and beach.jpg both match beach.yaml. Give each its own sidecar: Beach.jpg.yaml, beach.jpg.yaml"
        }

    def test_are_paired_once_that_advice_was_taken(self) -> None:
        assert pairs("Beach.jpg", "beach.jpg", "Beach.jpg.yaml", "beach.jpg.yaml") == {
            "Beach.jpg": "Beach.jpg.yaml",
            "beach.jpg": "beach.jpg.yaml",
        }

    def test_are_not_paired_crosswise(self) -> None:
        told = conflicts("Beach.jpg", "beach.jpg", "BEACH.yaml", "beach.yaml")
        assert all(told.values())


def test_what_is_neither_image_nor_sidecar_is_unknown() -> None:
    found = pair(["notes.docx", "clip.mp4", "README", "beach.jpg"])
    assert found == Pairing((Match("beach.jpg", None),), (), unknown=("README", "clip.mp4", "notes.docx"))


@pytest.mark.parametrize("name", ["_defaults.yaml", "_defaults.yml", "_Defaults.YAML"])
def test_a_folders_defaults_are_no_lonely_sidecar(name: str) -> None:
    assert is_defaults(name)
    assert pair([name, "beach.jpg"]) == Pairing((Match("beach.jpg", None),), (), ())


@pytest.mark.parametrize("name", ["_defaults.txt", "defaults.yaml", "_defaults.jpg.yaml"])
def test_what_only_looks_like_defaults_is_a_sidecar(name: str) -> None:
    assert not is_defaults(name)
    assert pair([name]).without_image == (name,)


@pytest.mark.parametrize("name", ["PAUSE", "Pause", "pause", "PAUSE.txt", "pause.TXT", "PAUSE.txt.txt"])
def test_a_file_that_stops_submissions(name: str) -> None:
    assert pair([name]) == Pairing((), (), (), pause_files=(name,))


@pytest.mark.parametrize("name", ["PAUSE.md", "pauses", "PAUSE.yaml"])
def test_what_only_resembles_its_name_stops_nothing(name: str) -> None:
    assert pair([name]).pause_files == ()


def test_the_sidecar_of_a_picture_named_pause_stops_nothing() -> None:
    assert pair(["Pause.jpg", "PAUSE.txt"]) == Pairing((Match("Pause.jpg", "PAUSE.txt"),), (), ())
    own = (Match("pause.jpg", "pause.jpg.yaml"),)
    assert pair(["pause.jpg", "pause.jpg.yaml", "pause.txt"]) == Pairing(own, (), (), pause_files=("pause.txt",))
    assert pair(["pause.jpg", "pause"]).pause_files == ("pause",)


@pytest.mark.parametrize(
    ("name", "yaml", "stem"),
    [
        ("beach.yaml", True, "beach"),
        ("beach.YML", True, "beach"),
        ("beach.yaml.txt", True, "beach"),
        ("Beach.jpg.Yml.TXT", True, "Beach.jpg"),
        ("beach.txt", False, "beach"),
        ("beach.txt.txt", False, "beach"),
        ("beach.yaml.yaml", True, "beach.yaml"),
        ("beach.jpg", False, "beach.jpg"),
    ],
)
def test_the_suffix_says_how_a_sidecar_is_read(name: str, yaml: bool, stem: str) -> None:
    assert (is_yaml(name), sidecar_stem(name)) == (yaml, stem)


DEFAULTS = "has no effect: the defaults of a folder are called _defaults.yaml; rename it to _defaults.yaml"
WITH_KEYS = ' and write keys in it, such as "prompt: waves"'
WHOLE_FOLDER = 'for the whole folder write "prompt: ..." in _defaults.yaml'


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("_default.yaml", DEFAULTS),
        ("_Default.yml", DEFAULTS),
        ("default.yaml", DEFAULTS),
        ("defaults.yml", DEFAULTS),
        ("__defaults.yaml", DEFAULTS),
        ("_defaults.yaml.txt", DEFAULTS),
        ("_defaults.yaml.yml", DEFAULTS),
        ("_defaults.txt", DEFAULTS + WITH_KEYS),
        ("_default.txt.txt", DEFAULTS + WITH_KEYS),
        ("_defaults", DEFAULTS + WITH_KEYS),
        ("_defaults.json", DEFAULTS + WITH_KEYS),
        ("prompt.txt", f"belongs to no image: for one image rename it, such as to beach.txt for beach.jpg; {WHOLE_FOLDER}"),
        ("Prompts.yaml", f"belongs to no image: for one image rename it, such as to beach.yaml for beach.jpg; {WHOLE_FOLDER}"),
        ("_prompt.yaml.txt", f"belongs to no image: for one image rename it, such as to beach.yaml for beach.jpg; {WHOLE_FOLDER}"),
        ("my_defaults.yaml", "no image of this name"),
        ("_defaults.jpg.yaml", "no image of this name"),
        ("prompter.txt", "no image of this name"),
        ("_defaults.docx", "not a picture format sorawatch reads"),
    ],
)  # fmt: skip
def test_a_file_without_effect_is_told_what_it_should_be_called(name: str, why: str) -> None:
    pairing = pair([name])
    assert not pairing.matches
    assert {*pairing.without_image, *pairing.unknown} == {name}
    assert why_unused(pairing)[name] == why


def test_the_example_is_an_image_that_has_no_sidecar_yet() -> None:
    pairing = pair(["a.jpg", "a.yaml", "my.cat.png", "prompt.txt"])
    assert "such as to my.cat.txt for my.cat.png;" in why_unused(pairing)["prompt.txt"]


@pytest.mark.parametrize("stem", ["prompt", "_default", "defaults"])
def test_an_image_may_have_such_a_name(stem: str) -> None:
    assert pairs(f"{stem}.jpg", f"{stem}.txt") == {f"{stem}.jpg": f"{stem}.txt"}


@pytest.mark.parametrize(
    "name",
    [
        ".hidden.jpg", ".sorawatch", ".beach.jpg.swp", "..jpg", "~$letter.txt", "beach.jpg~", "Thumbs.db", "THUMBS.DB",
        "desktop.ini", "Desktop.ini", "@eaDir", "#recycle", "__MACOSX", "lost+found", "$RECYCLE.BIN", "beach.jpg.tmp",
        "beach.TEMP", "beach.jpg.part", "beach.partial", "beach.crdownload", "beach.jpg.download", "beach.jpg.filepart",
        "beach.jpg.!sync", "beach.jpg.sb-5f3a8c1e-aBcDeF", ".syncthing.beach.jpg.tmp", "~syncthing~beach.jpg.tmp",
        ".~tmp~", ".beach.jpg.Xa3f", "beach.jpg.1a2b3c4d.partial", ".stversions", "beach.error.txt", "Beach (2).ERROR.TXT",
        ".two\nlines", os.fsdecode(b".\xff\xfe"),
    ],
)  # fmt: skip
def test_litter_is_never_looked_at(name: str) -> None:
    assert is_junk(name)


@pytest.mark.parametrize(
    "name",
    [
        "beach.jpg", "beach.yaml", "_defaults.yaml", "PAUSE", "-.jpg", "two\n.lines.jpg", "tmp", "beach.tmp.jpg",
        "error.txt", "beach.errors.txt", "thumbs.db.jpg", "recycle", os.fsdecode(b"\xff.jpg"), "a~b.jpg", "~beach.jpg",
    ],
)  # fmt: skip
def test_everything_else_is(name: str) -> None:
    assert not is_junk(name)


def test_a_person_can_name_more_litter() -> None:
    ignore = ("draft-*", f"{NFC}*", "[ab].png")
    for name in ("draft-1.jpg", "DRAFT-2.jpg", f"{NFD}.jpg", "A.png"):
        assert is_junk(name, ignore)
        assert not is_junk(name)
    assert not is_junk("my-draft-1.jpg", ignore)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6)
FILES = st.builds(
    str.__add__,
    st.sampled_from(["beach", "Beach", "b", "pause", NFC, NFD, UNDECODABLE]) | NAMES,
    st.sampled_from(["", ".jpg", ".JPG", ".png", ".yaml", ".yml", ".txt", ".jpg.yaml", ".png.yaml", ".jpg.png"]),
)


@given(st.sets(FILES, max_size=8))
@settings(deadline=None)
def test_every_name_is_in_exactly_one_place(names: set[str]) -> None:
    found = pair(names)
    images = [match.image for match in found.matches]
    sidecars = {match.sidecar for match in found.matches if match.sidecar is not None}
    assert len(images) == len({*images})
    places = [{*images}, sidecars, {*found.without_image}, {*found.unknown}, {*found.pause_files}]
    assert sum(map(len, places)) == len(set[str]().union(*places))
    spare = {name for name in names if is_defaults(name)}
    in_conflict = {name for name in names - spare if not any(name in place for place in places)}
    assert all(fold(name).endswith(SIDECAR_SUFFIXES) for name in in_conflict)
    assert not in_conflict or any(match.conflict for match in found.matches)


@given(st.sets(FILES, max_size=8))
@settings(deadline=None)
def test_no_sidecar_serves_two_images_unless_they_are_told(names: set[str]) -> None:
    served: dict[str, str] = {}
    for match in pair(names).matches:
        if match.sidecar is not None and not match.conflict:
            assert served.setdefault(match.sidecar, match.image) == match.image
            assert fold(match.sidecar).rpartition(".")[0] in {
                fold(match.image),
                fold(match.image).rpartition(".")[0],
            }


@given(st.permutations(["a.jpg", "A.jpg", "a.png", "a.yaml", "A.yaml", "a.png.txt", "b.gif", "b.yml", "b.txt"]))
@settings(deadline=None)
def test_the_order_of_a_listing_changes_nothing(names: list[str]) -> None:
    assert pair(names) == pair(sorted(names))


@given(NAMES, st.sampled_from(IMAGE_SUFFIXES), st.sampled_from(SIDECAR_SUFFIXES))
@settings(deadline=None)
def test_a_sidecar_from_a_system_with_another_unicode_form_is_found(stem: str, image: str, sidecar: str) -> None:
    one, other = unicodedata.normalize("NFC", stem), unicodedata.normalize("NFD", stem)
    assert pairs(f"{one}{image}", f"{other}{sidecar}") == {f"{one}{image}": f"{other}{sidecar}"}
    assert pairs(f"{other}{image}", f"{one}{image}{sidecar}") == {f"{other}{image}": f"{one}{image}{sidecar}"}


@pytest.mark.parametrize(
    ("name", "original", "tool"),
    [
        ("beach.sync-conflict-20261128-120000-ABCDEFG.jpg", "beach.jpg", "Syncthing"),
        ("beach.sync-conflict-20261128-120000-ABCDEFG.yaml", "beach.yaml", "Syncthing"),
        ("PAUSE.sync-conflict-20261128-120000-ABCDEFG", "PAUSE", "Syncthing"),
        ("_defaults.sync-conflict-20261128-120000-ABCDEFG.yaml", "_defaults.yaml", "Syncthing"),
        ("beach (SFConflict anna@example.org 2026-11-28-12-00-00).jpg", "beach.jpg", "Seafile"),
        ("beach (Case Conflict 1).jpg", "beach.jpg", "Dropbox"),
        ("beach (Anna's conflicted copy 2026-11-28).jpg", "beach.jpg", "a sync tool"),
        ("beach (conflicted copy).jpg", "beach.jpg", "a sync tool"),
        ("beach (conflicted copy 2026-11-28 120000).yaml", "beach.yaml", "a sync tool"),
        ("beach (In Konflikt stehende Kopie von Anna 2026-11-28).jpg", "beach.jpg", "a sync tool"),
        ("beach (Copie en conflit de Anna 2026-11-28).jpg", "beach.jpg", "a sync tool"),
        ("beach_conflict-20261128-120000.jpg", "beach.jpg", "ownCloud"),
        ("beach_Andy-PC_Jan-03-0901-2013_CaseConflict_1.jpg", "beach.jpg", "Synology Drive"),
        ("beach_NAS_Sep-10-105633-2019_Conflict.jpg", "beach.jpg", "Synology Drive"),
        ("beach.Conflict.jpg", "beach.jpg", "Resilio Sync"),
    ],
)
def test_a_conflict_copy_is_told_and_never_part_of_a_pair(name: str, original: str, tool: str) -> None:
    found = pair(["beach.jpg", "beach.yaml", name])
    assert found.matches == (Match("beach.jpg", "beach.yaml"),)
    assert found.pause_files == ()
    assert not is_defaults(name)
    assert why_unused(found) == {
        name: f"is a conflict copy of {original}, made by {tool}; it is not ordered. "
        "Delete it, or rename it to order it too"
    }


@pytest.mark.parametrize(
    "name",
    ["conflict.jpg", "Conflict zone (1).jpg", "beach (2).jpg", "beach 2.jpg", "conflict 2026-11-28.jpg", "cloud.jpg"],
)
def test_pictures_with_such_words_are_no_conflict_copies(name: str) -> None:
    assert pair([name]).matches == (Match(name, None),)


@pytest.mark.parametrize(
    ("name", "service"),
    [
        (".beach.jpg.icloud", "iCloud"),
        ("beach.jpg.nextcloud", "Nextcloud"),
        ("beach.jpg.owncloud", "ownCloud"),
        ("beach.jpg.cloud", "a cloud service"),
    ],
)
def test_a_placeholder_is_told(name: str, service: str) -> None:
    assert not is_junk(name)
    assert why_unused(pair([name])) == {
        name: f"is only a placeholder: beach.jpg itself is still in {service}, not on this disk. "
        "Make it available offline there"
    }
