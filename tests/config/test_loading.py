"""The configuration: what it says, and what a person reads who got it wrong."""

import contextlib
import time
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sorawatch import config
from sorawatch.config import Billing, Duplicates, Limits, WatchMode
from sorawatch.config.dialect_file import shipped
from sorawatch.core.order import MICROS, Aim, Fit, Model, Point, Size
from sorawatch.core.reference_format import Format, ReferenceOptions
from sorawatch.core.retry_policy import Policy
from sorawatch.core.sidecar import make_order, read_settings
from sorawatch.core.waits import Waits
from sorawatch.core.yaml_tree import MAX_BYTES
from sorawatch.edges import yamlfile
from sorawatch.errors import ConfigError, Rejected
from tests.support import texts


class Load(Protocol):
    def __call__(self, text: str | bytes = "", **environ: str) -> config.Config: ...


class Refusal(Protocol):
    def __call__(self, text: str | bytes = "", **environ: str) -> str: ...


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str | bytes = "", **environ: str) -> config.Config:
        path = tmp_path / "config.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return config.load(path, environ)

    return load


@pytest.fixture
def refusal(load: Load, tmp_path: Path) -> Refusal:
    """What is said of a bad configuration, the temporary folder written as ``/base``."""

    def refusal(text: str | bytes = "", **environ: str) -> str:
        with pytest.raises(ConfigError) as caught:
            load(text, **environ)
        assert all(problem.hint for problem in caught.value.problems)
        return str(caught.value).replace(str(tmp_path), "/base")

    return refusal


class TestValues:
    def test_an_empty_file_gives_the_defaults_with_folders_beside_it(self, load: Load, tmp_path: Path) -> None:
        found = load()
        assert found.folders == config.Folders(
            tmp_path / "inbox", tmp_path / "outbox", tmp_path / "errors", tmp_path / "processed"
        )
        assert found.state == "/var/lib/sorawatch/state.db"
        reference = shipped("openai")
        assert found.api == config.Api(reference, reference.base_url, image_field="input_reference", auth="bearer")
        assert found.limits == Limits(in_flight=4, submits_per_minute=30, micros_per_day=20 * MICROS)
        assert (found.duplicates, found.timezone, found.path) == (Duplicates.REFUSE, None, tmp_path / "config.yaml")

    def test_a_section_with_all_its_lines_commented_out_gives_its_defaults(self, load: Load) -> None:
        assert load("limits:\n#  in_flight: 9\n").limits == load("").limits

    def test_every_key(self, load: Load, tmp_path: Path) -> None:
        found = load(
            """
            folders: {inbox: in, outbox: /srv/out, errors: ./err, processed: done, file_mode: 0664, dir_mode: "2775", group: 0}
            state: data/state.db
            timezone: Europe/Berlin
            api:
              base_url: https://gateway.example/v1/
              key_file: api.key
              timeout_seconds: 7.5
              unresolved_submit: resubmit
            video: {prompt: Waves, model: sora-2-pro, size: 1080x1920, seconds: "12", fit: blur, focus: [0.2, 1]}
            reference: {format: webp, quality: 80, background: "#0a141E", max_enlargement: 2.5}
            watch: {mode: polling, settle_seconds: 0.5, rescan_seconds: 10, damaged_grace_seconds: 60, ignore: ["*.part", draft-*]}
            polling: {min_seconds: 0.2, max_seconds: 0.2}
            retries: {first_seconds: 1, max_seconds: 2, attempts: 3, failed_generations: 0}
            limits: {in_flight: 20, submits_per_minute: 0.5, burst: 3, usd_per_clip: 1.2, usd_per_day: 2.5, usd_per_month: 50}
            billing: {failed: true, moderated: false}
            duplicates: allow
            """
        )
        assert found.folders == config.Folders(
            tmp_path / "in", Path("/srv/out"), tmp_path / "err", tmp_path / "done", 0o664, 0o2775, 0
        )
        assert found.state == str(tmp_path / "data/state.db")
        assert str(found.timezone) == "Europe/Berlin"
        reference = shipped("openai")
        assert found.api == config.Api(
            reference,
            "https://gateway.example/v1",
            tmp_path / "api.key",
            7.5,
            image_field="input_reference",
            auth="bearer",
        )
        video = found.defaults
        assert (video.prompt, video.model, video.size, video.seconds, video.fit, video.focus) == (
            "Waves", "sora-2-pro", Size(1080, 1920), 12, Fit.BLUR, Point(0.2, 1),
        )  # fmt: skip
        assert found.reference == ReferenceOptions(Format.WEBP, 80, (10, 20, 30), 2.5)
        assert found.watch == config.WatchOptions(WatchMode.POLLING, 0.5, 10, 10, ("*.part", "draft-*"))
        waits = Waits(first=1, longest=2, poll_min=0.2, poll_max=0.2)
        billing = Billing(failed=True, moderated=False)
        assert found.policy == Policy(
            waits,
            attempts=3,
            failed_generations=0,
            resubmit_lost=True,
            damaged_grace_seconds=60,
            late_seconds=11.25,
            witness_seconds=45,
            billing=billing,
        )
        assert found.limits == Limits(20, 0.5, 3, 1_200_000, 2_500_000, 50 * MICROS)
        assert found.duplicates is Duplicates.ALLOW

    def test_no_cap(self, load: Load) -> None:
        assert load("limits: {usd_per_day: null}").limits.micros_per_day is None

    def test_a_cap_of_zero_is_a_cap(self, load: Load) -> None:
        assert load("limits: {usd_per_day: 0}").limits.micros_per_day == 0

    def test_home_folders(self, load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/ada")
        assert load("folders: {inbox: ~/inbox}").folders.inbox == Path("/home/ada/inbox")

    def test_a_linked_configuration_is_followed_and_its_folders_lie_beside_the_link(self, tmp_path: Path) -> None:
        (tmp_path / "real.yaml").write_text("limits: {in_flight: 7}")
        (tmp_path / "etc").mkdir()
        link = tmp_path / "etc" / "config.yaml"
        link.symlink_to("../real.yaml")
        found = config.load(link, {})
        assert (found.limits.in_flight, found.folders.inbox) == (7, tmp_path / "etc" / "inbox")

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:8000/v1",
            "http://localhost/v1",
            "http://[::1]:80/v1",
            "https://x.example:8443",
            "http://0.0.0.0:8000",
        ],
    )
    def test_addresses(self, load: Load, url: str) -> None:
        assert load(f'api: {{base_url: "{url}//"}}').api.base_url == url

    def test_plain_http_where_it_is_allowed(self, load: Load) -> None:
        assert load("api: {base_url: http://nas/v1, allow_http: true}").api.allow_http

    @pytest.mark.parametrize("url", ["postgresql://ada:s3cret@db/sora", "postgresql+psycopg://db/sora"])
    def test_a_database_address_is_kept_as_it_is_and_out_of_sight(self, load: Load, url: str) -> None:
        found = load(f"state: {url}")
        assert found.state == url
        assert "s3cret" not in repr(found)


class TestModels:
    def test_the_built_in_ones(self, load: Load) -> None:
        small, pro = load().catalogue.values()
        assert small.price(Size(1280, 720), 8) == 800_000
        assert small.sizes == (Size(720, 1280), Size(1280, 720))
        assert [pro.price(size, 1) for size in pro.sizes or ()] == [300_000] * 2 + [500_000] * 2 + [700_000] * 2
        assert small.seconds == pro.seconds == (4, 8, 12)

    def test_an_entry_changes_only_what_it_names(self, load: Load) -> None:
        found = load("models: {sora-2: {usd_per_second: 0.08}}").catalogue
        assert found["sora-2"] == Model("sora-2", (Size(720, 1280), Size(1280, 720)), (4, 8, 12), 80_000)
        assert "sora-2-pro" in found

    def test_money_is_exact(self, load: Load) -> None:
        model = load('models: {sora-2: {usd_per_second: {1280x720: 0.29, "720X1280": 1.000001}}}').catalogue["sora-2"]
        assert model.price(Size(1280, 720), 1) == 290_000
        assert model.price(Size(720, 1280), 1) == 1_000_001

    def test_a_clip_may_have_a_price_of_its_own(self, load: Load) -> None:
        size = Size(1280, 720)
        found = load(
            "models:\n  a: {usd_per_video: 0.5}\n  b: {usd_per_video: 0.5, usd_per_second: 0.01}\n"
            "  c: {sizes: [1280x720], usd_per_video: {1280x720: 0.25}}\n  d: {usd_per_video: 0}\n"
        ).catalogue
        assert [found[name].price(size, 8) for name in "abcd"] == [500_000, 580_000, 250_000, 0]

    def test_a_price_of_a_clip_stands_in_place_of_a_built_in_one_of_a_second(self, load: Load) -> None:
        found = load("models: {sora-2: {usd_per_video: 0.15}, sora-2-pro: {usd_per_video: null}}").catalogue
        assert found["sora-2"].price(Size(1280, 720), 8) == 150_000
        assert found["sora-2-pro"].price(Size(1280, 720), 8) == 2_400_000

    def test_a_server_of_ones_own(self, load: Load) -> None:
        found = load(
            "models: {wan: {sizes: any, seconds: any, usd_per_second: 0}}\n"
            "video: {model: wan, size: 832x480, seconds: 5}"
        )
        assert found.catalogue["wan"] == Model("wan", None, None, 0)

    def test_an_unknown_price_without_a_cap(self, load: Load) -> None:
        found = load("models: {wan: {usd_per_second: null}}\nlimits: {usd_per_day: null}")
        assert found.catalogue["wan"] == Model("wan", None, None)


class TestDefaultsAsTheLastLayer:
    def test_they_complete_a_sidecar(self, load: Load) -> None:
        found = load("video: {size: auto}")
        sidecar = read_settings(yamlfile.load(b"prompt: Waves", "beach.yaml"))
        order = make_order([sidecar, found.defaults], found.catalogue)
        assert (order.size, order.seconds, order.model) == (Aim.AUTO, 8, "sora-2")

    def test_a_clash_with_a_sidecar_names_the_configuration_and_its_line(self, load: Load) -> None:
        found = load("models: {wan: {sizes: [832x480], usd_per_second: 0}}\nvideo:\n  seconds: 12\n  size: 1280x720\n")
        sidecar = read_settings(yamlfile.load(b"prompt: Waves\nmodel: wan", "beach.yaml"))
        with pytest.raises(Rejected) as caught:
            make_order([sidecar, found.defaults], found.catalogue)
        assert str(caught.value) == (
            "config.yaml line 4, video.size: is 1280x720, which wan (named in beach.yaml line 2, model) does not have."
            " Allowed: 832x480, landscape, auto."
        )


class TestEnvironment:
    def test_it_stands_above_the_file(self, load: Load) -> None:
        found = load("api: {base_url: https://a.example}\nlimits: {in_flight: 2}", SORAWATCH_LIMITS__IN_FLIGHT="9")
        assert (found.limits.in_flight, found.api.base_url) == (9, "https://a.example")

    def test_text_is_taken_as_it_is(self, load: Load) -> None:
        assert load(SORAWATCH_VIDEO__PROMPT="[wide] Waves: slow #1").defaults.prompt == "[wide] Waves: slow #1"

    def test_lists_and_mappings_are_yaml(self, load: Load) -> None:
        found = load(
            SORAWATCH_WATCH__IGNORE="['*.part', x]",
            SORAWATCH_MODELS="wan: {usd_per_second: 0}",
            SORAWATCH_DUPLICATES="allow",
            SORAWATCH_LIMITS__USD_PER_DAY="null",
            SORAWATCH_VIDEO__FOCUS="[0.5, 0.25]",
            SORAWATCH_REFERENCE__BACKGROUND="#ffffff",
        )
        assert found.defaults.focus == Point(0.5, 0.25)
        assert found.reference.background == (255, 255, 255)
        assert found.watch.ignore == ("*.part", "x")
        assert "wan" in found.catalogue
        assert (found.duplicates, found.limits.micros_per_day) == (Duplicates.ALLOW, None)

    def test_the_two_that_are_no_overrides(self, load: Load) -> None:
        assert load(SORAWATCH_CONFIG="/x", SORAWATCH_API_KEY="k", PATH="/bin", SORA="x")

    def test_a_folder_is_relative_to_the_file(self, load: Load, tmp_path: Path) -> None:
        assert load(SORAWATCH_FOLDERS__INBOX="in").folders.inbox == tmp_path / "in"


BAD_VARIABLES = {
    "unknown": (
        {"SORAWATCH_LIMITS__INFLIGHT": "3"},
        "SORAWATCH_LIMITS__INFLIGHT: is an environment variable for an unknown key."
        " Did you mean SORAWATCH_LIMITS__IN_FLIGHT?",
    ),
    "one underscore": (
        {"SORAWATCH_API_BASE_URL": "https://x.example"},
        "SORAWATCH_API_BASE_URL: is an environment variable for an unknown key. Did you mean SORAWATCH_API__BASE_URL?",
    ),
    "lower case": (
        {"SORAWATCH_api__base_url": "https://x.example"},
        "SORAWATCH_api__base_url: is an environment variable for an unknown key. Did you mean SORAWATCH_API__BASE_URL?",
    ),
    "like no other": (
        {"SORAWATCH_ZZZ": "1"},
        "SORAWATCH_ZZZ: is an environment variable for an unknown key."
        " Unset it; variables are named like SORAWATCH_API__BASE_URL.",
    ),
    "wrong value": (
        {"SORAWATCH_LIMITS__IN_FLIGHT": "many"},
        'SORAWATCH_LIMITS__IN_FLIGHT, limits.in_flight: is "many". Allowed: a whole number from 1 to 100000.',
    ),
    "empty": (
        {"SORAWATCH_API__BASE_URL": ""},
        "SORAWATCH_API__BASE_URL, api.base_url: is empty. Write some text after the colon, or remove the line.",
    ),
    "empty cap on money": (
        {"SORAWATCH_LIMITS__USD_PER_DAY": ""},
        "SORAWATCH_LIMITS__USD_PER_DAY, limits.usd_per_day: is empty."
        f" Write an amount in dollars, such as 0.10, or {texts.NO_CAP}.",
    ),
    "bad YAML": (
        {"SORAWATCH_WATCH__IGNORE": "[a"},
        f"SORAWATCH_WATCH__IGNORE line 1, column 1: {texts.OPEN_BRACKET}. Close it, or put the text in quotes.",
    ),
    "not a list": (
        {"SORAWATCH_WATCH__IGNORE": "a"},
        'SORAWATCH_WATCH__IGNORE line 1, watch.ignore: is "a".'
        ' Allowed: a list of patterns, such as ["*.tmp", "draft-*"].',
    ),
    "not UTF-8": (
        {"SORAWATCH_VIDEO__PROMPT": "W\udce4lder"},
        "SORAWATCH_VIDEO__PROMPT: contains bytes that are not UTF-8, or control characters. Remove them.",
    ),
}


@pytest.mark.parametrize("kind", BAD_VARIABLES)
def test_a_bad_variable_is_named(refusal: Refusal, kind: str) -> None:
    environ, message = BAD_VARIABLES[kind]
    assert refusal("", **environ) == message


POSITIVE = "Allowed: a number above 0, up to 31536000."
BAD_FILES: dict[str, tuple[str | bytes, str]] = {
    "not a mapping": (
        "- a\n",
        'config.yaml line 1: is not made of keys and values. Write it as lines of the form "key: value".',
    ),
    "duplicate key": (
        "api:\n  timeout_seconds: 1\n  timeout_seconds: 2\n",
        f'config.yaml line 3: has the key "timeout_seconds" {texts.SECOND_TIME} 2). {texts.KEEP_ONE}',
    ),
    "too large": (b"#" * (MAX_BYTES + 1), "config.yaml: is larger than 64 KiB. Shorten it."),
    "not UTF-8": (
        b"a: \xff",
        f"config.yaml line 1: is not UTF-8 text (byte 0xff). {texts.SAVE_AS_UTF8}",
    ),
    "unknown section": (
        "limit: {in_flight: 4}\n",
        'config.yaml line 1, limit: is not a known key. Did you mean "limits"? Allowed: folders, state, work, timezone,'
        " api, models, video, reference, decoders, watch, polling, retries, limits, billing, logging, duplicates, keep_days.",
    ),
    "unknown key": (
        "limits:\n  inflight: 4\n",
        'config.yaml line 2, limits.inflight: is not a known key. Did you mean "in_flight"?'
        " Allowed: in_flight, submits_per_minute, burst, usd_per_clip, usd_per_day, usd_per_month, confirm_above_usd.",
    ),
    "a value where a section belongs": (
        "retries: 7\n",
        "config.yaml line 1, retries: is 7, but keys are needed."
        ' Write them below it as lines of the form "key: value".',
    ),
    "an amount in quotes": (
        "limits: {usd_per_day: '20'}\n",
        'config.yaml line 1, limits.usd_per_day: is "20", which is text.'
        " Write it without quotes. Allowed: an amount in dollars, such as 0.10.",
    ),
    "no whole number": (
        "limits: {in_flight: 2.5}\n",
        "config.yaml line 1, limits.in_flight: is 2.5. Allowed: a whole number from 1 to 100000.",
    ),
    "a whole number in quotes": (
        'limits: {in_flight: "2"}\n',
        'config.yaml line 1, limits.in_flight: is "2", which is text.'
        " Write it without quotes. Allowed: a whole number from 1 to 100000.",
    ),
    "no number": (
        "watch: {settle_seconds: soon}\n",
        f'config.yaml line 1, watch.settle_seconds: is "soon". {POSITIVE}',
    ),
    "zero": ("watch: {rescan_seconds: 0}\n", f"config.yaml line 1, watch.rescan_seconds: is 0. {POSITIVE}"),
    "no permissions": (
        "folders: {file_mode: 0888}\n",
        'config.yaml line 1, folders.file_mode: is 0888. Allowed: octal digits such as "0664", '
        "with at least 0600 for the owner.",
    ),
    "permissions that shut sorawatch out": (
        'folders: {dir_mode: "0577"}\n',
        'config.yaml line 1, folders.dir_mode: is "0577". Allowed: octal digits such as "0775", '
        "with at least 0700 for the owner.",
    ),
    "no such group": (
        "folders: {group: rooot}\n",
        'config.yaml line 1, folders.group: is "rooot", a group that this system does not know. Did you mean "root"? '
        "Allowed: a group of this system, by name or number, or null.",
    ),
    "negative": ("api: {timeout_seconds: -1}\n", f"config.yaml line 1, api.timeout_seconds: is -1. {POSITIVE}"),
    "without end": (
        "polling: {max_seconds: 1e999}\n",
        f"config.yaml line 1, polling.max_seconds: is 1e999. {POSITIVE}",
    ),
    "a truth as a number": (
        "retries: {first_seconds: true}\n",
        f"config.yaml line 1, retries.first_seconds: is true. {POSITIVE}",
    ),
    "least above most": (
        "polling: {min_seconds: 10, max_seconds: 2}\n",
        "config.yaml line 1, polling.max_seconds: is 2, less than min_seconds, which is 10. Allowed: at least 10.",
    ),
    "least above the default": (
        "retries: {first_seconds: 1000}\n",
        "config.yaml line 1, retries.first_seconds: is 1000, more than max_seconds, which is 900."
        " Allowed: at most 900.",
    ),
    "no such choice": (
        "api: {unresolved_submit: resumbit}\n",
        'config.yaml line 1, api.unresolved_submit: is "resumbit". Did you mean "resubmit"? Allowed: hold, resubmit.',
    ),
    "yes is no truth": (
        "api: {allow_http: yes}\n",
        'config.yaml line 1, api.allow_http: is "yes". Allowed: true, false.',
    ),
    "watch mode": (
        "watch: {mode: inotify}\n",
        'config.yaml line 1, watch.mode: is "inotify". Allowed: auto, native, polling.',
    ),
    "duplicates": (
        "duplicates: skip\n",
        'config.yaml line 1, duplicates: is "skip". Allowed: refuse, allow.',
    ),
    "a background that is a comment": (
        "reference:\n  background: #ffffff\n",
        'config.yaml line 2, reference.background: is nothing. Allowed: a colour such as "#1a2b3c" (red, green, blue),'
        " in quotes.",
    ),
    "a background by name": (
        "reference: {background: white}\n",
        'config.yaml line 1, reference.background: is "white". Allowed: a colour such as "#1a2b3c" (red, green, blue),'
        " in quotes.",
    ),
    "a format that the API does not take": (
        "reference: {format: jpg}\n",
        'config.yaml line 1, reference.format: is "jpg". Did you mean "jpeg"? Allowed: jpeg, png, webp.',
    ),
    "quality": (
        "reference: {quality: 0}\n",
        "config.yaml line 1, reference.quality: is 0. Allowed: a whole number from 1 to 100.",
    ),
    "ignore is text": (
        "watch: {ignore: '*.tmp'}\n",
        'config.yaml line 1, watch.ignore: is "*.tmp". Allowed: a list of patterns, such as ["*.tmp", "draft-*"].',
    ),
    "cap in words": (
        "limits: {usd_per_month: $20}\n",
        'config.yaml line 1, limits.usd_per_month: is "$20". Allowed: an amount in dollars, such as 0.10.',
    ),
    "less than a micro-dollar": (
        "models: {sora-2: {usd_per_second: 0.1234567}}\n",
        "config.yaml line 1, models.sora-2.usd_per_second: is 0.1234567."
        " Allowed: an amount in dollars with at most six decimals.",
    ),
    "vanishing amount": (
        "models: {sora-2: {usd_per_second: 1e-999999999}}\n",
        "config.yaml line 1, models.sora-2.usd_per_second: is 1e-999999999."
        " Allowed: an amount in dollars with at most six decimals.",
    ),
    "negative price": (
        "models: {sora-2: {usd_per_second: -1}}\n",
        "config.yaml line 1, models.sora-2.usd_per_second: is -1. Allowed: an amount in dollars, such as 0.10.",
    ),
    "time zone": (
        "timezone: Europe/Berln\n",
        'config.yaml line 1, timezone: is "Europe/Berln", a time zone that this system does not know.'
        ' Did you mean "Europe/Berlin"? Allowed: an IANA name such as Europe/Berlin,'
        " or null for the system's time zone.",
    ),
    "time zone outside": (
        "timezone: ../../etc/passwd\n",
        'config.yaml line 1, timezone: is "../../etc/passwd", a time zone that this system does not know.'
        " Allowed: an IANA name such as Europe/Berlin, or null for the system's time zone.",
    ),
    "no address": (
        "api: {base_url: api.apiyi.com/v1}\n",
        'config.yaml line 1, api.base_url: is "api.apiyi.com/v1". Allowed: an address such as https://api.apiyi.com/v1.',
    ),
    "another protocol": (
        "api: {base_url: ftp://x.example}\n",
        'config.yaml line 1, api.base_url: is "ftp://x.example". Allowed: an address such as https://api.apiyi.com/v1.',
    ),
    "impossible port": (
        "api: {base_url: https://x.example:99999}\n",
        'config.yaml line 1, api.base_url: is "https://x.example:99999".'
        " Allowed: an address such as https://api.apiyi.com/v1.",
    ),
    "half an IPv6 address": (
        'api: {base_url: "https://[::1"}\n',
        'config.yaml line 1, api.base_url: is "https://[::1". Allowed: an address such as https://api.apiyi.com/v1.',
    ),
    "the whole endpoint": (
        "api: {base_url: https://api.apiyi.com/v1/videos}\n",
        'config.yaml line 1, api.base_url: is "https://api.apiyi.com/v1/videos".'
        ' Leave off "/videos", which is added for every request.',
    ),
    "plain http": (
        "api: {base_url: http://nas.example/v1}\n",
        'config.yaml line 1, api.base_url: is "http://nas.example/v1", so the key would be sent unencrypted.'
        ' Write https://, or add "allow_http: true" in a network you trust.',
    ),
    "another kind of database": (
        "state: mysql://ada:s3cret@db/sora\n",
        "config.yaml line 1, state: is an address of another kind than postgresql://."
        " Allowed: a path such as /var/lib/sorawatch/state.db, or postgresql://USER@HOST/DATABASE.",
    ),
    "empty path": (
        "folders: {inbox: ''}\n",
        "config.yaml line 1, folders.inbox: is empty. Write some text after the colon, or remove the line.",
    ),
    "unknown home": (
        "folders: {inbox: ~nobody-of-this-name/inbox}\n",
        'config.yaml line 1, folders.inbox: is "~nobody-of-this-name/inbox", but that home folder is not known.'
        " Write the whole path, beginning with /.",
    ),
    "the same folder": (
        "folders: {inbox: a, outbox: ./b/../a}\n",
        "config.yaml line 1, folders.outbox: /base/a is the same folder as folders.inbox, /base/a."
        " Give each folder a place outside the others.",
    ),
    "a folder in a folder": (
        "folders:\n  inbox: pics\n  errors: pics/errors\n",
        "config.yaml line 3, folders.errors: /base/pics/errors is inside folders.inbox, /base/pics."
        " Give each folder a place outside the others.",
    ),
    "a folder around a folder": (
        "folders:\n  inbox: pics/in\n  processed: pics\n",
        "config.yaml line 3, folders.processed: /base/pics contains folders.inbox, /base/pics/in."
        " Give each folder a place outside the others.",
    ),
    "the state in the inbox": (
        "state: inbox/state.db\n",
        "config.yaml line 1, state: /base/inbox/state.db is inside folders.inbox. Put it outside the four folders.",
    ),
    "a work folder for a state file": (
        "work: /srv/work\n",
        "config.yaml line 1, work: is only for a state in a database."
        " Leave it out: it is /var/lib/sorawatch/state.db.work here.",
    ),
    "a work folder around a folder": (
        "state: postgresql://db/sora\nfolders: {inbox: work/in}\n",
        "config.yaml, work: /base/work contains folders.inbox, /base/work/in. Put it outside the four folders.",
    ),
    "no known model": (
        "video: {model: sora-3}\n",
        'config.yaml line 1, video.model: is "sora-3", which is not in the catalogue. Did you mean "sora-2"?'
        " Known: sora-2, sora-2-pro. Others can be added under models: in the configuration.",
    ),
    "a size the default model lacks": (
        "video:\n  size: 1920x1080\n",
        "config.yaml line 2, video.size: is 1920x1080, which sora-2 does not have."
        " Allowed: 720x1280, 1280x720, landscape, portrait, auto.",
    ),
    "a default that the model lacks": (
        "models: {wan: {sizes: any, seconds: [5], usd_per_second: 0}}\nvideo:\n  model: wan\n",
        "config.yaml, video.seconds: is 8, which wan does not have. Allowed: 5.",
    ),
    "a key of sidecars only": (
        "video: {priority: 3}\n",
        "config.yaml line 1, video.priority: is not a known key. Allowed: prompt, model, size, seconds, fit, focus.",
    ),
    "an unknown price": (
        "models:\n  wan: {sizes: any}\n",
        "config.yaml line 2, models.wan: has no price for any size, which limits.usd_per_day has to count."
        ' Add "usd_per_second: 0.10" or "usd_per_video: 0.80" below it, with its own price (0 if it is free),'
        " or set the cap to null.",
    ),
    "an unknown price of one size": (
        "models: {sora-2: {sizes: [1280x720, 640x360], usd_per_second: {1280x720: 0.1}}}\nlimits: {usd_per_month: 9}",
        "config.yaml line 1, models.sora-2: has no price for 640x360, which limits.usd_per_day and limits.usd_per_month"
        ' has to count. Add "usd_per_second: 0.10" or "usd_per_video: 0.80" below it, with its own price (0 if it is'
        " free), or set the cap to null.",
    ),
    "an unknown price of one size beside one of all": (
        "models: {wan: {sizes: any, usd_per_second: {1280x720: 0.1}, usd_per_video: 0.5}}",
        "config.yaml line 1, models.wan: has no price for sizes not listed in usd_per_second, which limits.usd_per_day"
        ' has to count. Add "usd_per_second: 0.10" or "usd_per_video: 0.80" below it, with its own price (0 if it is'
        " free), or set the cap to null.",
    ),
    "a price of a video in words": (
        "models: {sora-2: {usd_per_video: cheap}}\n",
        'config.yaml line 1, models.sora-2.usd_per_video: is "cheap". Allowed: an amount in dollars, such as 0.10.',
    ),
    "no sizes": (
        "models: {sora-2: {sizes: []}}\n",
        "config.yaml line 1, models.sora-2.sizes: is a list. Allowed: a list with at least one entry, or any.",
    ),
    "one size that is none": (
        "models: {sora-2: {sizes: [1280x720, hd]}}\n",
        'config.yaml line 1, models.sora-2.sizes: is "hd". Allowed: WIDTHxHEIGHT such as 1280x720.',
    ),
    "an unknown key of a model": (
        "models: {sora-2: {price: 3}}\n",
        "config.yaml line 1, models.sora-2.price: is not a known key. Allowed: usd_per_second, usd_per_video, sizes, seconds, fps, fields.",
    ),
    "a model that is a number": (
        "models: {sora-2: 3}\n",
        "config.yaml line 1, models.sora-2: is 3, but keys are needed."
        ' Write them below it as lines of the form "key: value".',
    ),
    "models as a list": (
        "models: [sora-2]\n",
        "config.yaml line 1, models: is a list, but keys are needed."
        ' Write them below it as lines of the form "key: value".',
    ),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_refusal_says_line_key_value_and_mend(refusal: Refusal, kind: str) -> None:
    text, message = BAD_FILES[kind]
    assert refusal(text) == message


@pytest.mark.parametrize(
    "line",
    [
        "base_url: https://ada:s3cret@x.example/v1",
        "base_url: ada:s3cret@x.example",
        "base_url: https://x.example/v1?key=s3cret",
        "base_url: 'https://x.example/v1#s3cret'",
        "key_file: sk-s3cret",
        "key_file: Bearer s3cret",
        "key: s3cret",
    ],
)
def test_a_secret_in_the_wrong_place_is_not_repeated(refusal: Refusal, line: str) -> None:
    told = refusal(f"api:\n  {line}\n")
    assert told.startswith(f"config.yaml line 2, api.{line.partition(':')[0]}: ")
    assert "s3cret" not in told
    assert "key_file" in told


def test_folders_that_are_one_behind_a_link(refusal: Refusal, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "share").symlink_to("inbox")
    assert refusal("folders:\n  outbox: share/clips\n") == (
        "config.yaml line 2, folders.outbox: /base/share/clips (which is /base/inbox/clips) is inside folders.inbox,"
        " /base/inbox. Give each folder a place outside the others."
    )


def test_every_problem_is_told_at_once_in_the_order_of_the_lines(refusal: Refusal) -> None:
    told = refusal(
        "limits: {in_flight: 0}\nduplicates: no\nvideo:\n  fit: x\nzoom: 1\napi: {base_url: x}\n",
        SORAWATCH_POLLING__MIN_SECONDS="-1",
        SORAWATCH_NOPE__NOPE="1",
    )
    assert [line.partition(":")[0] for line in told.splitlines()] == [
        "SORAWATCH_POLLING__MIN_SECONDS, polling.min_seconds",
        "SORAWATCH_NOPE__NOPE",
        "config.yaml line 1, limits.in_flight",
        "config.yaml line 2, duplicates",
        "config.yaml line 4, video.fit",
        "config.yaml line 5, zoom",
        "config.yaml line 6, api.base_url",
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"config\.yaml: No such file or directory\. Check its path and permissions\."
    ):
        config.load(tmp_path / "config.yaml", {})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=200)
    | st.lists(
        st.sampled_from(
            ["api:", "  base_url: ", "models:", "  x:", "    sizes: ", "    usd_per_second: ", "limits: ", "state: ",
             "timezone: ", "folders: {inbox: ", "video: ",
             "[1x1]", "1e5", "{}", "null", "http://[", "://", "~", "}", "\n"]
        ),
        max_size=12,
    ).map(lambda parts: "".join(parts).encode())
)  # fmt: skip
@example(b"timezone: America")
@example(b"state: ~root")
@example(b"api: {base_url: 'http://[v1.x]'}")
def test_any_file_loads_or_is_refused_as_a_whole(load: Load, text: str | bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert load(text).catalogue


def found_key(loaded: config.Config, environ: dict[str, str]) -> config.KeySource:
    source = config.find_key(loaded, environ)
    assert source is not None
    return source


class TestKey:
    def test_the_file_comes_first(self, load: Load, tmp_path: Path) -> None:
        (tmp_path / "api.key").write_text("\ufeffsk-file\r\n", encoding="utf-8")
        source = found_key(load("api: {key_file: api.key}"), {"SORAWATCH_API_KEY": "sk-env"})
        assert (source.read(), source.path, source.where) == (
            "sk-file", tmp_path / "api.key", f"api.key_file, {tmp_path}/api.key",
        )  # fmt: skip

    def test_then_the_environment(self, load: Load, tmp_path: Path) -> None:
        environ = {"SORAWATCH_API_KEY": " sk-env\n", "CREDENTIALS_DIRECTORY": str(tmp_path)}
        (tmp_path / "api-key").write_text("sk-credential")
        source = found_key(load(), environ)
        assert (source.read(), source.path, source.where) == ("sk-env", None, "environment variable SORAWATCH_API_KEY")

    def test_then_the_credential(self, load: Load, tmp_path: Path) -> None:
        (tmp_path / "api-key").write_text("sk-credential")
        source = found_key(load(), {"SORAWATCH_API_KEY": "", "CREDENTIALS_DIRECTORY": str(tmp_path)})
        assert (source.read(), source.path) == ("sk-credential", tmp_path / "api-key")

    def test_a_changed_file_is_noticed(self, load: Load, tmp_path: Path) -> None:
        (tmp_path / "api.key").write_text("old")
        source = found_key(load("api: {key_file: api.key}"), {})
        assert source.read() == "old"
        (tmp_path / "api.key").write_text("new")
        assert source.read() == "new"

    def test_it_is_in_no_repr(self, load: Load) -> None:
        found = load()
        assert "sk-env" not in repr((found, config.find_key(found, {"SORAWATCH_API_KEY": "sk-env"})))

    def test_none_anywhere(self, load: Load) -> None:
        with pytest.raises(
            ConfigError, match=r'there is no API key\. Set \$SORAWATCH_API_KEY, or .*"key_file: api\.key"'
        ):
            config.find_key(load(), {"CREDENTIALS_DIRECTORY": "/nonexistent"})

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            (b" \n", "is empty. Put the key there, and nothing else."),
            (b"Bearer s3cret", 'is not one word of plain letters. Put only the key there, without "Bearer" or quotes.'),
            (
                b"s3cret\ns3cret2",
                'is not one word of plain letters. Put only the key there, without "Bearer" or quotes.',
            ),
            (b"s3cret\xff", 'is not one word of plain letters. Put only the key there, without "Bearer" or quotes.'),
            (
                b"s3cret" * 20_000,
                "is larger than 64 KiB. Put the key into that file, readable by the user who runs sorawatch.",
            ),
        ],
    )
    def test_what_is_no_key_is_refused_unseen(self, load: Load, tmp_path: Path, content: bytes, told: str) -> None:
        (tmp_path / "api.key").write_bytes(content)
        with pytest.raises(ConfigError) as caught:
            found_key(load("api: {key_file: api.key}"), {}).read()
        assert str(caught.value) == f"api.key_file, {tmp_path}/api.key: {told}"

    def test_its_mark_differs_once_the_file_was_written_or_replaced(self, load: Load, tmp_path: Path) -> None:
        path = tmp_path / "api.key"
        path.write_text("s3cret")
        source = found_key(load("api: {key_file: api.key}"), {})
        marks = [source.fingerprint()]
        assert source.fingerprint() == marks[0]
        path.write_text("s3cre7")
        marks.append(source.fingerprint())
        (tmp_path / "new").write_text("s3cre7")
        (tmp_path / "new").rename(path)
        marks.append(source.fingerprint())
        path.unlink()
        marks.append(source.fingerprint())
        assert len(set(marks)) == 4
        assert "s3cre" not in repr(marks)

    @pytest.mark.parametrize("later", [0, 10_000_000_000], ids=["just changed", "changed long ago"])
    def test_the_current_one_follows_its_file(self, load: Load, tmp_path: Path, later: int) -> None:
        path = tmp_path / "api.key"
        path.write_text("s3cret")
        source = found_key(load("api: {key_file: api.key}"), {})
        current = config.CurrentKey(source, lambda: time.time_ns() + later)
        assert [current(), current()] == ["s3cret", "s3cret"]
        path.write_text("s3cre7")
        assert [current(), current()] == ["s3cre7", "s3cre7"]
        (tmp_path / "new").write_text("s3cre8")
        (tmp_path / "new").rename(path)
        assert current() == "s3cre8"
        path.unlink()
        with pytest.raises(ConfigError, match="No such file or directory"):
            current()
        path.write_text("s3cre9")
        assert current() == "s3cre9"

    def test_a_file_that_is_not_there(self, load: Load) -> None:
        with pytest.raises(ConfigError, match=r"No such file or directory\. Put the key into that file"):
            found_key(load("api: {key_file: api.key}"), {}).read()


class TestFind:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def test_the_one_that_is_named_comes_first(self, tmp_path: Path) -> None:
        for name in ("a.yaml", "b.yaml", "config.yaml"):
            (tmp_path / name).touch()
        environ = {"SORAWATCH_CONFIG": "b.yaml"}
        assert config.find(Path("a.yaml"), environ) == Path("a.yaml")
        assert config.find(None, environ) == Path("b.yaml")
        assert config.find(None, {"SORAWATCH_CONFIG": ""}) == Path("config.yaml")

    @pytest.mark.parametrize(
        ("explicit", "environ", "origin"),
        [(Path("/x/no.yaml"), {}, "--config"), (None, {"SORAWATCH_CONFIG": "/x/no.yaml"}, r"\$SORAWATCH_CONFIG")],
    )
    def test_a_named_one_is_never_passed_over(
        self, tmp_path: Path, explicit: Path | None, environ: dict[str, str], origin: str
    ) -> None:
        (tmp_path / "config.yaml").touch()
        with pytest.raises(
            ConfigError, match=f"^/x/no.yaml: there is no such file, named by {origin}.*sorawatch init /x$"
        ):
            config.find(explicit, environ)

    @pytest.mark.skipif(Path("/etc/sorawatch/config.yaml").exists(), reason="this machine has a configuration")
    def test_none_anywhere_says_where_it_looked(self) -> None:
        with pytest.raises(ConfigError) as caught:
            config.find(None, {})
        assert str(caught.value) == (
            "config.yaml: there is no configuration; looked for $SORAWATCH_CONFIG (not set), ./config.yaml,"
            " /etc/sorawatch/config.yaml. Write one with: sorawatch init"
        )
