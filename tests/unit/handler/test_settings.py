"""Settings come from the file, then from the environment, and say what is wrong with them."""

from __future__ import annotations

import pytest
from flashvsr_engine import EngineConfig, engine_config
from flashvsr_engine.knobs import KNOBS
from flashvsr_handler.archive import default_config
from flashvsr_handler.model import ENGINE_SETTINGS
from flashvsr_handler.settings import Settings, SettingsError


def test_the_packaged_file_says_the_defaults() -> None:
    assert Settings.read(default_config()["handler"], {}) == Settings()


def test_the_environment_overrides_the_file() -> None:
    section = {"max_sessions": 3, "idle_timeout_s": 5, "warm_up": True, "device": "cpu"}
    environment = {"FLASHVSR_MAX_SESSIONS": "7", "FLASHVSR_WARM_UP": "false", "FLASHVSR_MODELS": "a, b", "OTHER": "x"}
    settings = Settings.read(section, environment)
    assert (settings.max_sessions, settings.idle_timeout_s, settings.device) == (7, 5.0, "cpu")
    assert not settings.warm_up
    assert settings.models == ("a", "b")


def test_the_engines_knobs_are_settings_with_the_engines_defaults() -> None:
    own = {"memory_limit": "none", "version": ""}  # a server admits by bytes; a file cannot say None
    known = {knob.alias or knob.name: knob.default for knob in KNOBS if knob.name != "scale"}
    assert {name: getattr(Settings(), name) for name in ENGINE_SETTINGS} == known | own
    config = engine_config(**{name: getattr(Settings(), name) for name in ENGINE_SETTINGS})
    assert config == EngineConfig(memory_limit=None)


def test_the_environment_says_what_the_communitys_tool_says() -> None:
    settings = Settings.read({"color_fix": True}, {"FLASHVSR_TILED_DIT": "True", "FLASHVSR_KV_RATIO": "1"})
    config = engine_config(**{name: getattr(settings, name) for name in ENGINE_SETTINGS})
    assert (config.color_fix, config.tiled_dit, config.attention.kv_slices) == ("adain", True, 1)


@pytest.mark.parametrize(
    ("section", "text"),
    [
        ({"max_session": 1}, "'max_session'; known: weights"),
        ({"max_sessions": "many"}, "max_sessions is 'many'; it must be a whole number"),
        ({"max_sessions": 0}, "max_sessions is 0; allowed: 1 or more"),
        ({"idle_timeout_s": float("nan")}, "idle_timeout_s is nan"),
        ({"idle_timeout_s": None}, "idle_timeout_s is None; it must be a number"),
        ({"warm_up": "perhaps"}, "warm_up is 'perhaps'; allowed: true or false"),
        ({"max_message_bytes": 1}, "max_message_bytes is 1; allowed: 1048576 to"),
        ({"state_bytes_budget": -1}, "state_bytes_budget is -1"),
        (
            {"warm_up_sizes": ["480x270x4", "480"]},
            "warm_up_sizes is '480'; allowed: WIDTHxHEIGHT or WIDTHxHEIGHTxSCALE",
        ),
        ({"warm_up_sizes": "480x270x5"}, "warm_up_sizes is '480x270x5'"),
        ({"models": []}, "models is"),
    ],
)
def test_a_wrong_setting_is_named(section: dict[str, object], text: str) -> None:
    with pytest.raises(SettingsError, match=text):
        Settings.read(section, {})
