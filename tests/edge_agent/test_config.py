"""The agent reports each mistake in the settings, and says what to do. No mistake is ignored."""

import sys
import tomllib
from pathlib import Path

import pytest

from edge_agent import config, config_file
from protocol import crypto_cpython
from protocol.cbor import LARGEST
from protocol.errors import ConfigError

KEY = crypto_cpython.generate("P-256")[1].hex()


def load(text: str, tmp_path: Path, **environment: str) -> config.Config:
    path = tmp_path / "edge.toml"
    path.write_text(text)
    return config.load(path, {"MOORING_EDGE_PROVINCE_PUBLIC_KEY": KEY, **environment})


def refusal(text: str, tmp_path: Path, **environment: str) -> ConfigError:
    with pytest.raises(ConfigError) as raised:
        load(text, tmp_path, **environment)
    return raised.value


def test_the_printed_default_is_a_good_configuration_equal_to_the_defaults(tmp_path: Path) -> None:
    printed, bare = load(config.default_text(), tmp_path), load("", tmp_path)
    assert printed == bare
    assert (bare.mqtt.brokers, bare.locks.addresses, bare.province_public_key) == (
        (("localhost", 1883),),
        (),
        bytes.fromhex(KEY),
    )


def test_a_file_overrides_defaults_and_the_environment_overrides_the_file(tmp_path: Path) -> None:
    text = 'name = "pi-1"\n[mqtt]\nhosts = ["a"]\nport = 1\n[locks]\naddresses = ["AA:BB:CC:DD:EE:01"]\n'
    loaded = load(
        text,
        tmp_path,
        MOORING_EDGE_MQTT_PORT="8883",
        MOORING_EDGE_LOCKS_ADDRESSES="aa:bb:cc:dd:ee:02, AA:BB:CC:DD:EE:03",
        MOORING_EDGE_LOG_JSON="true",
    )
    assert (loaded.name, loaded.mqtt.brokers) == ("pi-1", (("a", 8883),))
    assert loaded.locks.addresses == ("AA:BB:CC:DD:EE:02", "AA:BB:CC:DD:EE:03")
    assert loaded.log.json


NUMBERS = ("mqtt.port", "uplink.window", "outbox.max_mb", "outbox.disk_reserve_mb", "locks.credit")
BEYOND = (2**53, 2**63 - 1, 2**63, 2**64, -1, -(2**63) - 1, 10**4000, 10**5000)


@pytest.mark.parametrize(
    "number", BEYOND, ids=[f"{number:.0e}" if abs(number) < 2**70 else "long" for number in BEYOND]
)
def test_no_number_is_beyond_its_bounds_wherever_it_stands(tmp_path: Path, number: int) -> None:
    sys.set_int_max_str_digits(0)
    text = str(number)
    sys.set_int_max_str_digits(4300)
    for key in NUMBERS:
        section, _, name = key.partition(".")
        codes = ("config.value", "config.syntax")
        assert refusal(f"[{section}]\n{name} = {text}", tmp_path).code in codes
        variable = f"MOORING_EDGE_{key.upper().replace('.', '_')}"
        assert refusal("", tmp_path, **{variable: text}).code in ("config.value", "config.type")


def test_every_number_has_bounds() -> None:
    defaults = dict(config_file.flatten(tomllib.loads(config.default_text())))
    numbers = {key for key, value in defaults.items() if type(value) is int}
    assert numbers == set(config._RANGES)
    assert all(0 <= least <= most <= LARGEST for least, most in config._RANGES.values())


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('name = "x"')
    environment = {"MOORING_EDGE_CONFIG": str(tmp_path / "x.toml"), "MOORING_EDGE_PROVINCE_PUBLIC_KEY": KEY}
    assert config.load(None, environment).name == "x"


def test_other_programs_variables_are_left_alone(tmp_path: Path) -> None:
    load("", tmp_path, MOORING_RADIO="x", HOME="y")


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("[mqtt]\nhots = 'a'", "config.unknown_key", "did you mean mqtt.hosts?"),
        ("host = 'a'", "config.unknown_key", "did you mean mqtt.hosts?"),
        ("zzzzzz = 1", "config.unknown_key", "config` for the known ones"),
        ("[mqtt]\nport = '1883'", "config.type", "a whole number"),
        ("[mqtt]\nport = true", "config.type", "a whole number"),
        ("[locks]\naddresses = [1]", "config.type", "a list of texts"),
        ("[log]\njson = 1", "config.type", "true or false"),
        ("mqtt = 1", "config.type", "write [mqtt]"),
        ("[[mqtt]]\nport = 1", "config.type", "write [mqtt]"),
        ("[name]", "config.type", "text in quotes"),
        ("[mqtt.port]", "config.type", "a whole number"),
        ("[naem]", "config.unknown_key", "did you mean name?"),
        ("[mqtt]\nport = 70000", "config.value", "1 to 65535"),
        ("[locks]\ncredit = 65", "config.value", "1 to 64"),
        ("name = 'Li Lei'", "config.value", "a-z"),
        ("state_dir = ''", "config.value", "name a directory"),
        ('state_dir = "a\\u0000b"', "config.value", "cannot be printed"),
        ("state_dir = '/dev/null'", "config.value", "/dev/null is a file"),
        ("state_dir = '/dev/null/below/it'", "config.value", "/dev/null is a file"),
        (f"state_dir = '/{'x' * 300}'", "config.value", "too long"),
        ("[mqtt]\nhosts = ['']", "config.value", "no list of hosts"),
        ("[mqtt]\nhosts = ['a..b']", "config.value", "no list of hosts"),
        (f"[mqtt]\nhosts = ['{'x' * 64}.example']", "config.value", "no list of hosts"),
        ("[mqtt]\nhosts = ['mqtt://broker']", "config.value", "no list of hosts"),
        ("[mqtt]\nhosts = ['broker:']", "config.value", "no list of hosts"),
        ("[mqtt]\nhosts = ['my broker']", "config.value", "no list of hosts"),
        ("[log]\nlevel = 'loud'", "config.value", "debug"),
        ("[locks]\naddresses = ['not an address']", "config.value", "such as AA:BB:CC:DD:EE:01"),
        ("[locks]\naddresses = ['']", "config.value", "no Bluetooth address"),
        ("[locks]\naddresses = ['AA:BB:CC:DD:EE:01:02']", "config.value", "no Bluetooth address"),
        ("[locks]\naddresses = ['AA:BB:CC:DD:EE:01', 'aa:bb:cc:dd:ee:01']", "config.value", "twice"),
        ("[mqtt]\ncert = 'x'", "config.value", "both or none"),
        ("[mqtt]\ncert = 'x'\nkey = 'y'", "config.value", "needs mqtt.ca"),
        ("[mqtt]\nca = '/nonexistent/ca.pem'", "config.file", "/nonexistent/ca.pem"),
        ("name = ", "config.syntax", "not TOML"),
        ("name = " + "[" * 100_000, "config.syntax", "nested too deeply"),
        ("a." * 2000 + "b = 1", "config.syntax", "nested too deeply"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, text: str, code: str, says: str) -> None:
    error = refusal(text, tmp_path)
    assert error.code == code
    assert says.lower() in error.message.lower()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", 'province_public_key = "" (the default) is empty. Set it'),
        ("province_public_key = ''", "experiment_without_key = true"),
        ("province_public_key = '04ff'", "130 hex digits"),
        ("province_public_key = 'zz'", "130 hex digits"),
        (f"province_public_key = '04{'0' * 128}'", "no point of P-256"),
        (f"province_public_key = '{KEY}'\nexperiment_without_key = true", "Remove one of them"),
    ],
)
def test_the_provinces_key_is_required_and_has_to_be_one(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "edge.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config\.value") as raised:
        config.load(path, {})
    assert says in raised.value.message


def test_an_experiment_without_the_provinces_key_has_to_be_called_one(tmp_path: Path) -> None:
    path = tmp_path / "edge.toml"
    path.write_text("experiment_without_key = true")
    assert config.load(path, {}).province_public_key is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# port\n[mqtt]\nport = 70000", "mqtt.port = 70000 ({file}, line 3) is out of range"),
        ("mqtt.port = '1'", 'mqtt.port = "1" ({file}, line 1) has the wrong type'),
        ('[locks]\naddresses = [\n  "x",\n  "y",\n]', 'locks.addresses = ["x", "y"] ({file}, line 2) has'),
        ("[log]\nlevel = 'loud'\n", 'log.level = "loud" ({file}, line 2) is unknown'),
        ("[mqtt]\nhots = 'a'", 'mqtt.hots = "a" ({file}, line 2) is not a setting'),
        (f"name = '{'x' * 500}'", f'name = "{"x" * 59}… ({{file}}, line 1) cannot be used'),
        ("name = 'a'\n[mqtt", "{file} is not TOML: "),
    ],
)
def test_a_mistake_in_the_file_names_file_line_key_and_value(tmp_path: Path, text: str, says: str) -> None:
    assert refusal(text, tmp_path).message.startswith(says.format(file=tmp_path / "edge.toml"))


def test_a_mistake_in_toml_itself_names_the_line(tmp_path: Path) -> None:
    assert "at line 2, column 6" in refusal("name = 'a'\n[mqtt\n", tmp_path).message


def test_a_good_value_that_an_environment_variable_spoils_is_blamed_on_the_variable(tmp_path: Path) -> None:
    error = refusal("[mqtt]\nport = 1883", tmp_path, MOORING_EDGE_MQTT_PORT="0")
    assert error.message.startswith("mqtt.port = 0 (MOORING_EDGE_MQTT_PORT) is out of range")


def test_the_line_of_a_setting_is_that_of_the_key_and_not_of_a_comment_or_a_value_that_names_it() -> None:
    text = '# port = 1\nname = "port"\n[uplink]\nwindow = 1\n[mqtt]\nport = 2\n'
    assert config_file.line_of(text, "mqtt.port") == 6
    assert config_file.line_of(text, "uplink.port") is None
    assert config_file.line_of("#" * config_file.LONGEST_TEXT + "\nport = 1", "port") is None


def test_a_mistake_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    error = refusal("", tmp_path, MOORING_EDGE_MQTT_PROT="1")
    assert error.code == "config.unknown_key" and "MOORING_EDGE_MQTT_PORT" in error.message
    assert "MOORING_EDGE_MQTT_PORT" in refusal("", tmp_path, MOORING_EDGE_MQTT_PORT="x").message
    assert "true or false" in refusal("", tmp_path, MOORING_EDGE_LOG_JSON="maybe").message


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        config.load(tmp_path / "none.toml", {})
    assert raised.value.code == "config.missing" and " config > " in raised.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError) as raised:
        config.load(tmp_path / "edge.toml", {})
    assert raised.value.code == "config.syntax"


def test_a_file_that_is_far_too_long_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
    (tmp_path / "edge.toml").write_text("#" * (config_file.LONGEST + 1))
    with pytest.raises(ConfigError) as raised:
        config.load(tmp_path / "edge.toml", {})
    assert raised.value.code == "config.syntax" and "longer than any configuration" in raised.value.message


def test_a_directory_in_place_of_the_file_is_called_that(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        config.load(tmp_path, {})
    assert raised.value.code == "config.unreadable" and "is a directory" in raised.value.message


def test_what_works_is_taken(tmp_path: Path) -> None:
    point = crypto_cpython.generate("P-256")[1]
    text = (
        f"state_dir = '{tmp_path}/not/yet/there'\nprovince_public_key = '{point.hex()}'\n[mqtt]\nhosts = ['::1']\n[log]"
    )
    path = tmp_path / "edge.toml"
    path.write_text(text)
    loaded = config.load(path, {})
    assert loaded.province_public_key == point and loaded.mqtt.brokers == (("::1", 1883),)
