"""The settings: defaults, where values come from, and one sentence for each wrong value."""

from pathlib import Path

import pytest

from mobium.errors import InvalidInput
from mobium_server.config import Settings, database_path, variables


def test_the_defaults_are_the_safe_ones() -> None:
    settings = Settings.from_env({})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.require_tls) == ("0.0.0.0", 8443, True)
    assert (settings.max_connections, settings.max_connections_per_ip) == (2_000, 10)
    assert (settings.max_message_size, settings.max_offline_messages) == (1 << 20, 1_000)
    assert (settings.message_ttl, settings.ws_ping_interval, settings.auth_timeout) == (604_800, 30, 10)
    assert (settings.rate_general.per_second, settings.rate_general.burst) == (30, 60)
    assert (settings.rate_media.per_second, settings.rate_media.burst) == (80, 150)
    assert [str(network) for network in settings.trusted_proxies] == ["127.0.0.1/32", "::1/128"]
    assert settings.cors_origins == ()
    assert settings.admin_token == ""


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SC_PORT=1111\nSC_HOST=127.0.0.1  # a comment\nSC_MESSAGE_TTL=\nUNRELATED=x\n")
    settings = Settings.from_env({"SC_PORT": "2222"}, file)
    assert (settings.port, settings.host, settings.message_ttl) == (2222, "127.0.0.1", 604_800)
    assert Settings.from_env({}, tmp_path / "absent").port == 8443


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("# ports\n\nSC_PORT 9999\n", 3),
        ("SC_PORT=9999\nSC_ADMIN_TOKEN='it is open\nSC_HOST=127.0.0.1\n", 2),
        ('SC_PORT="9999" or so\n', 1),
    ],
)
def test_a_line_that_is_no_setting_is_not_passed_over(tmp_path: Path, text: str, line: int) -> None:
    file = tmp_path / ".env"
    file.write_text(text)
    with pytest.raises(InvalidInput) as refused:
        Settings.from_env({}, file)
    assert str(refused.value).startswith(f"Line {line} of {file} cannot be understood; a setting is NAME=")


def test_lines_of_others_and_the_mark_of_an_editor_are(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_bytes(b"\xef\xbb\xbfSC_PORT=9999\r\nsomething else\r\nexport SC_HOST='127.0.0.1'\r\n")
    settings = Settings.from_env({}, file)
    assert (settings.port, settings.host) == (9999, "127.0.0.1")


WRONG = [
    ("SC_HOST", "https://chat.example"),
    ("SC_HOST", "127.0.0.1:8443"),
    ("SC_HOST", "two words"),
    ("SC_HOST", "[127.0.0.1]"),
    ("SC_HOST", "[::1]:8443"),
    ("SC_HOST", "[]"),
    ("SC_PORT", "x"),
    ("SC_PORT", "65536"),
    ("SC_PORT", "-1"),
    ("SC_PORT", "1.5"),
    ("SC_PORT", "٨٤٤٣"),
    ("SC_DATABASE_URL", "postgresql://localhost/mobium"),
    ("SC_DATABASE_URL", "sqlite://"),
    ("SC_DATABASE_URL", "sqlite://:memory:"),
    ("SC_DATABASE_URL", "sqlite://~nobody-of-this-name/x.db"),
    ("SC_REQUIRE_TLS", "maybe"),
    ("SC_TLS_CERT", "/no/such/file.pem"),
    ("SC_TLS_CERT", "~nobody-of-this-name/cert.pem"),
    ("SC_TLS_KEY", "/no/such/file.pem"),
    ("SC_PUBLIC_HOSTS", "https://chat.example"),
    ("SC_PUBLIC_HOSTS", "chat.example:443"),
    ("SC_TRUSTED_PROXIES", "proxy.example"),
    ("SC_MAX_CONNECTIONS", "many"),
    ("SC_MAX_CONNECTIONS_PER_IP", "-1"),
    ("SC_MAX_MESSAGE_SIZE", "511"),
    ("SC_MAX_MESSAGE_SIZE", str((4 << 20) + 1)),
    ("SC_MAX_OFFLINE_MESSAGES", "0"),
    ("SC_MESSAGE_TTL", "59"),
    ("SC_WS_PING_INTERVAL", "0"),
    ("SC_WS_PING_INTERVAL", "nan"),
    ("SC_AUTH_TIMEOUT", "inf"),
    ("SC_RATE_GENERAL", "fast"),
    ("SC_RATE_GENERAL", "30/0"),
    ("SC_RATE_GENERAL", "inf"),
    ("SC_RATE_GENERAL", "1e400"),
    ("SC_RATE_GENERAL", "inf/60"),
    ("SC_RATE_GENERAL", "nan"),
    ("SC_RATE_GENERAL", f"30/{'9' * 400}"),
    ("SC_RATE_MEDIA", "-1"),
    ("SC_RATE_MEDIA", "-inf"),
    ("SC_RATE_ADDRESS_FACTOR", "x"),
    ("SC_CORS_ORIGINS", "chat.example"),
    ("SC_CORS_ORIGINS", "https://chat.example/path"),
    ("SC_CORS_ORIGINS", "http://[x"),
    ("SC_ADMIN_TOKEN", "short"),
    ("SC_ADMIN_TOKEN", "a token with blanks in it"),
    ("SC_ICE_STUN_URL", "http://stun.example"),
    ("SC_ICE_STUN_URL", "turn:turn.example"),
    ("SC_ICE_STUN_URL", "stun://stun.example:3478"),
    ("SC_ICE_STUN_URL", "stun:stun.example?transport=udp"),
    ("SC_ICE_TURN_URL", "turn:"),
    ("SC_ICE_TURN_URL", "turn:turn.example:0"),
    ("SC_ICE_TURN_URL", "turn:turn.example:65536"),
    ("SC_ICE_TURN_URL", "turn:turn.example?transport=carrier-pigeon"),
    ("SC_ICE_TURN_URL", "turn:turn.example:3478/path"),
    ("SC_ICE_TURN_URL", "turn:user@turn.example"),
    ("SC_ICE_TURN_URL", "stun:turn.example"),
    ("SC_ICE_TURN_SECRET", "short"),
    ("SC_ICE_TURN_SECRET", "a secret with blanks in it"),
    ("SC_ICE_TTL", "1"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_gets_a_sentence_that_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.from_env({name: value})
    sentence = str(caught.value)
    assert sentence.startswith((f"{name} must ", f"{name} names "))
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize("name", ["SC_ADMIN_TOKEN", "SC_ICE_TURN_SECRET"])
def test_a_wrong_secret_is_not_repeated(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Settings.from_env({name: "hunter2 hunter2 hunter2"})
    assert "hunter2" not in str(caught.value)


def test_secrets_stay_out_of_the_repr() -> None:
    token, secret = "0123456789abcdef", "fedcba9876543210"
    settings = Settings.from_env(
        {"SC_ADMIN_TOKEN": token, "SC_ICE_TURN_SECRET": secret, "SC_ICE_TURN_URL": "turn:turn.example:3478"}
    )
    assert token not in repr(settings)
    assert secret not in repr(settings)


@pytest.mark.parametrize("given", [{"SC_TLS_CERT"}, {"SC_TLS_KEY"}])
def test_certificate_and_key_belong_together(given: set[str], tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.touch()
    with pytest.raises(InvalidInput, match="SC_TLS_CERT and SC_TLS_KEY"):
        Settings.from_env(dict.fromkeys(given, str(file)))


def test_a_turn_server_needs_its_secret() -> None:
    with pytest.raises(InvalidInput, match="SC_ICE_TURN_SECRET"):
        Settings.from_env({"SC_ICE_TURN_URL": "turn:turn.example:3478"})


@pytest.mark.parametrize(
    "url",
    [
        "turn:turn.example.org",
        "turn:192.0.2.1:3478?transport=tcp",
        "turns:turn.example.org:443?transport=tcp",
        "turn:[2001:db8::1]:3478",
    ],
)
def test_turn_servers_by_any_name(url: str) -> None:
    settings = Settings.from_env({"SC_ICE_TURN_URL": url, "SC_ICE_TURN_SECRET": "s" * 16})
    assert settings.ice_turn_url == url
    stun = url.replace("turn", "stun").partition("?")[0]
    assert Settings.from_env({"SC_ICE_STUN_URL": stun}).ice_stun_url == stun


@pytest.mark.parametrize("host", ["::", "::1", "127.0.0.1", "localhost", "my-server.local", "fe80::1%eth0"])
def test_where_one_may_listen(host: str) -> None:
    assert Settings.from_env({"SC_HOST": host}).host == host


@pytest.mark.parametrize(
    ("written", "host"), [("[::1]", "::1"), ("[::]", "::"), ("::0", "::"), ("0:0:0:0:0:0:0:1", "::1")]
)
def test_an_ipv6_address_may_be_written_as_in_a_url(written: str, host: str) -> None:
    assert Settings.from_env({"SC_HOST": written}).host == host


def test_each_variable_has_a_wrong_value_above() -> None:
    tried = {name for name, _ in WRONG}
    assert tried == set(variables())


def test_lists_take_blanks_and_names_become_canonical() -> None:
    settings = Settings.from_env(
        {
            "SC_PUBLIC_HOSTS": " Chat.Example , münchen.example,::1",
            "SC_TRUSTED_PROXIES": "10.0.0.0/8, ::1",
            "SC_CORS_ORIGINS": "https://Chat.Example, http://localhost:3000",
        }
    )
    assert settings.public_hosts == ("chat.example", "xn--mnchen-3ya.example", "::1")
    assert len(settings.trusted_proxies) == 2
    assert settings.cors_origins == ("https://chat.example", "http://localhost:3000")


def test_no_proxy_may_be_trusted() -> None:
    assert Settings.from_env({"SC_TRUSTED_PROXIES": "none"}).trusted_proxies == ()


def test_every_variable_has_words_for_the_documents() -> None:
    for name, (default, about) in variables().items():
        assert name.startswith("SC_")
        assert about
        assert default == default.strip()


def test_the_database_is_a_file() -> None:
    assert database_path("sqlite://./data/mobium.db") == Path("data/mobium.db")
    assert database_path("sqlite:///var/lib/mobium/mobium.db") == Path("/var/lib/mobium/mobium.db")


def test_the_home_folder_is_that_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / "cert.pem").touch()
    assert database_path("sqlite://~/x.db") == tmp_path / "x.db"
    found = Settings.from_env({"SC_TLS_CERT": "~/cert.pem", "SC_TLS_KEY": "~/cert.pem"})
    assert found.tls_cert == tmp_path / "cert.pem"
