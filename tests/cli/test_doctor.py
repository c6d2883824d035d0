"""`tui-chat doctor`: what it finds, what it says to do, and that it leaves everything as it was."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.loopback import LoopbackServer, Pause, Stall, reply
from tui_chat.store.inspection import inspect_history

KEY = "sk-secret-0123456789abcdefWXYZ"
LIST = reply(200, {"data": [{"id": "a"}, {"id": "b"}]})


@pytest.fixture
def program(program):
    """One whose environment says nothing of proxies and certificates."""
    for name in [name for name in program.environ if name.lower().endswith("_proxy") or name.startswith("SSL_CERT")]:
        del program.environ[name]
    program.environ.pop("GITHUB_TOKEN", None)
    return program


def examined(program, code=0, timeout_s=20):
    """Return the checks by name."""
    ended = program.run("doctor", "--json", timeout_s=timeout_s)
    assert ended.err == ""
    said = json.loads(ended.out)
    assert set(said) == {"ok", "checks"}
    assert (ended.code, said["ok"]) == (code, code == 0)
    assert all(set(check) == {"name", "status", "detail", "next_step"} for check in said["checks"])
    assert {check["status"] for check in said["checks"]} <= {"ok", "warn", "fail"}
    assert (code == 1) == any(check["status"] == "fail" for check in said["checks"])
    checks = {check["name"]: check for check in said["checks"]}
    assert len(checks) == len(said["checks"])
    return checks


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def used(program) -> None:
    assert program.run("ask", "-q", "-m", "demo/quick", "hello").code == 0


# nothing set up


def test_with_nothing_set_up_all_is_well_and_nothing_is_created(program):
    checks = examined(program)
    assert {check["status"] for check in checks.values()} == {"ok"}
    assert list(program.home.iterdir()) == []
    assert "demo/quick" in checks["providers.model"]["detail"]
    assert "OPENAI_API_KEY" in checks["providers.without a key"]["detail"]
    assert checks["terminal"]["detail"] == "not a terminal: skipped"


def test_for_a_person_it_is_a_line_for_each_check_and_a_summary_at_the_end(program):
    out = program.run("doctor").out
    assert "\x1b" not in out
    lines = out.splitlines()
    assert any(line.startswith("  ✓ tui-chat ") for line in lines)
    assert lines[-1] == "✓ all is well"
    starts = {line.index(text) for line in lines for text in ("none, so all is at its defaults", "none yet; it begins")
              if text in line}  # fmt: skip
    assert len(starts) == 1


def test_what_stdout_cannot_write_is_written_in_ascii(program):
    program.environ["PYTHONIOENCODING"] = "ascii"
    program.configure('default_model = "nobody/x"\n')
    out = program.run("doctor").out
    assert out.isascii()
    assert "?" not in out
    assert "  + tui-chat " in out
    assert "-> " in out


def test_it_stands_in_the_help(program):
    assert "\n    doctor" in program.run("--help").out


def test_no_other_command_loads_it(program):
    code = (
        "import sys\nfrom tui_chat.cli import main\nmain(['models'])\n"
        "sys.exit(any('doctor' in name or name.endswith('inspection') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=program.environ, capture_output=True, check=False)
    assert done.returncode == 0


def test_nobody_reads_on(program):
    read, write = os.pipe()
    os.close(read)
    with program.start("doctor", stdout=write) as process:
        os.close(write)
        assert process.stderr.read() == b""
    assert process.returncode == 141


# configuration and files


def test_a_configuration_that_cannot_be_followed_fails_and_the_rest_is_checked_all_the_same(program):
    used(program)
    program.configure('default_modle = "x"\n')
    checks = examined(program, 1)
    assert checks["config.contents"]["detail"] == "line 1: unknown key default_modle"
    assert "did you mean default_model?" in checks["config.contents"]["next_step"]
    assert checks["history.database"]["detail"].startswith("1 conversation")
    assert checks["history.integrity"]["status"] == "ok"


def test_a_model_that_nobody_knows_is_named(program):
    program.configure('compare_models = ["nobody/x", "demo/quick"]\n')
    check = examined(program)["config.compare_models"]
    assert check["status"] == "warn"
    assert "unknown provider 'nobody'" in check["detail"]


@pytest.mark.parametrize("broken", ["", "nonsense = 1\n"])
def test_a_key_that_others_can_read_is_a_warning_with_the_command(program, broken):
    program.configure(f'{broken}[providers.work]\nbase_url = "http://127.0.0.1:9/v1"\napi_key = "{KEY}"\n')
    path = program.home / "config.toml"
    path.chmod(0o644)
    check = examined(program, 1)["config.file"]
    assert (check["status"], check["next_step"]) == ("warn", f"chmod 600 {path}")
    path.chmod(0o600)
    assert examined(program, 1)["config.file"]["status"] == "ok"


def test_a_history_that_others_can_read_is_a_warning(program):
    used(program)
    (program.home / "chats.db").chmod(0o644)
    assert examined(program)["files.history"]["next_step"] == f"chmod 600 {program.home / 'chats.db'}"


def test_a_home_that_is_no_folder_fails(program, tmp_path):
    (tmp_path / "file").touch()
    program.environ["TUI_CHAT_HOME"] = str(tmp_path / "file")
    checks = examined(program, 1)
    assert "is no folder" in checks["files.history"]["detail"]


# providers


def test_a_provider_that_answers_is_told_with_its_key_its_time_and_its_prices(program, work, server):
    server.always("/models", LIST)
    work(provider='api_key_env = "WORK_KEY"')
    program.environ["WORK_KEY"] = KEY
    checks = examined(program)
    detail = checks["providers.work"]["detail"]
    assert detail.startswith(f"127.0.0.1:{server.port}, key from WORK_KEY, ")
    assert detail.endswith(" ms, 2 models, 1 with a price")
    assert checks["providers.model"]["detail"] == "work/a, the default_model of config.toml"
    assert server.lookups[0].headers["authorization"] == f"Bearer {KEY}"
    assert contents(program.home).keys() == {str(program.home / "config.toml")}


def test_a_command_that_prints_the_key_is_run(program, work, server):
    server.always("/models", LIST)
    work(provider=f'api_key_cmd = "echo {KEY}"')
    assert "key from api_key_cmd" in examined(program)["providers.work"]["detail"]
    assert server.lookups[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_key_that_is_refused_fails_and_no_part_of_it_is_shown(program, work, server):
    server.always("/models", reply(401, {"error": {"message": f"no such key: {KEY} or {KEY[:14]}\x1b[31m"}}))
    work(provider='api_key_env = "WORK_KEY"')
    program.environ["WORK_KEY"] = KEY
    check = examined(program, 1)["providers.work"]
    assert check["status"] == "fail"
    assert "401" in check["detail"]
    assert "WORK_KEY" in check["next_step"]
    out = program.run("doctor").out
    assert KEY[:12] not in out
    assert KEY[-4:] not in out
    assert "\x1b" not in out
    assert out.splitlines()[-1] == "✗ 1 problem: providers.work"


def test_a_server_that_cannot_be_reached_fails(program):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    program.configure(f'[providers.work]\nbase_url = "http://127.0.0.1:{port}/v1"\n')
    check = examined(program, 1)["providers.work"]
    assert (check["status"], "connection refused" in check["detail"]) == ("fail", True)
    assert "start the server" in check["next_step"]


def test_a_server_without_a_list_is_fine_when_its_models_are_known(program, server):
    program.configure(f'[providers.work]\nbase_url = "{server.base_url}"\nmodels = ["a", "b", "c"]\n')
    check = examined(program)["providers.work"]
    assert check["status"] == "ok"
    assert "keeps no list of models, 3 models known" in check["detail"]
    program.configure(f'[providers.work]\nbase_url = "{server.base_url}"\n')
    check = examined(program)["providers.work"]
    assert (check["status"], "base_url" in check["next_step"]) == ("warn", True)


def test_a_web_page_where_a_list_should_be_fails(program, server):
    server.always("/models", reply(200, "<!doctype html><title>Hello</title>"))
    program.configure(f'[providers.work]\nbase_url = "{server.base_url}"\n')
    assert examined(program, 1)["providers.work"]["next_step"].startswith("check the base_url")


def test_a_server_that_is_busy_is_a_warning(program, work, server):
    server.always("/models", reply(429, {"error": {"message": "slow down"}}))
    assert examined(program)["providers.work"]["status"] == "warn"


def test_all_are_asked_at_once_and_the_slowest_cannot_hold_the_end_up(program):
    with LoopbackServer() as server:
        server.always("/slow/models", [Pause(1.0), *LIST])
        server.always("/stuck/models", [Stall()])
        slow = "".join(f'[providers.s{n}]\nbase_url = "{server.url}/slow"\n' for n in range(8))
        program.configure(
            f'{slow}[providers.stuck]\nbase_url = "{server.url}/stuck"\n'
            f'[providers.cmd]\nbase_url = "{server.url}/slow"\napi_key_cmd = "sleep 60"\n'
        )
        since = time.monotonic()
        checks = examined(program, 1)
    assert time.monotonic() - since < 14
    assert [checks[f"providers.s{n}"]["status"] for n in range(8)] == ["ok"] * 8
    assert checks["providers.stuck"]["status"] == "fail"
    assert "api_key_cmd gave no key within 10 s" in checks["providers.cmd"]["detail"]


def test_a_provider_in_the_configuration_that_lacks_its_key_is_a_warning(program):
    program.configure("[providers.openai]\nparams = { temperature = 0 }\n")
    check = examined(program)["providers.openai"]
    assert (check["status"], "OPENAI_API_KEY" in check["next_step"]) == ("warn", True)


def test_a_default_model_that_lacks_its_key_fails(program):
    program.configure('default_model = "openai/gpt-4.1"\n')
    check = examined(program, 1)["providers.model"]
    assert (check["status"], "OPENAI_API_KEY" in check["next_step"]) == ("fail", True)


def test_a_key_that_cannot_be_one_fails_without_being_shown(program):
    program.environ["OPENAI_API_KEY"] = "sk-abcdefgh ijklmnop"
    check = examined(program, 1)["providers.openai"]
    assert check["detail"] == "OPENAI_API_KEY has white space inside"
    assert "abcdefgh" not in program.run("doctor").out


def test_the_model_used_last_is_the_one_to_begin_with(program):
    used(program)
    assert examined(program)["providers.model"]["detail"] == "demo/quick, the one used last"


# network


def test_proxies_are_told_without_their_passwords(program):
    program.environ |= {"HTTPS_PROXY": "http://me:hunter2hunter2@proxy.example:3128", "NO_PROXY": "internal.example"}
    detail = examined(program)["network.proxy"]["detail"]
    assert "proxy.example:3128" in detail
    assert "not for internal.example" in detail
    assert "never for servers on this machine" in detail
    assert "hunter2" not in program.run("doctor").out
    program.configure('[network]\nproxy = "http://you:hunter3hunter3@own.example:8080"\n')
    detail = examined(program)["network.proxy"]["detail"]
    assert "own.example:8080 (network.proxy)" in detail
    assert "hunter3" not in detail
    assert "proxy.example:3128" not in detail


@pytest.mark.parametrize("url", ["ftp://proxy.example", "http://"])
def test_a_proxy_that_cannot_be_one_fails(program, url):
    program.environ["HTTPS_PROXY"] = url
    assert examined(program, 1)["network.proxy"]["status"] == "fail"


def test_certificates_that_cannot_be_read_fail(program, tmp_path):
    file = tmp_path / "ca.pem"
    program.environ["SSL_CERT_FILE"] = str(file)
    assert "No such file" in examined(program, 1)["network.SSL_CERT_FILE"]["detail"]
    file.write_text("nothing")
    assert "no certificate" in examined(program, 1)["network.SSL_CERT_FILE"]["detail"]
    import certifi

    file.write_bytes(Path(certifi.where()).read_bytes())
    assert "more certificates" in examined(program)["network.SSL_CERT_FILE"]["detail"]


def test_a_folder_of_certificates_that_nobody_hashed_is_a_warning(program, tmp_path):
    program.environ["SSL_CERT_DIR"] = str(tmp_path)
    check = examined(program)["network.SSL_CERT_DIR"]
    assert (check["status"], check["next_step"]) == ("warn", f"openssl rehash {tmp_path}")


# the history


def test_a_history_is_told_and_not_a_byte_of_it_changes(program):
    used(program)
    before = contents(program.home)
    checks = examined(program)
    assert checks["history.database"]["detail"].startswith("1 conversation, ")
    assert "WAL journal" in checks["history.database"]["detail"]
    assert checks["history.integrity"]["detail"] == "quick check passed"
    assert "none running now, the last exit was clean" in checks["history.instances"]["detail"]
    assert contents(program.home) == before


def test_a_damaged_history_fails_and_is_left_alone(program):
    used(program)
    path = program.home / "chats.db"
    path.write_bytes(path.read_bytes()[:5000] + b"\xff" * 5000)
    before = contents(program.home)
    check = examined(program, 1)["history.database"]
    assert "damaged" in check["detail"]
    assert "put a backup in its place" in check["next_step"]
    assert contents(program.home) == before


@pytest.mark.parametrize(
    ("statement", "said"),
    [("PRAGMA user_version = 999", "newer tui-chat"), ("PRAGMA application_id = 7", "another program")],
)
def test_a_history_that_is_not_for_us_fails(program, statement, said):
    used(program)
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        connection.execute(statement)
    assert said in examined(program, 1)["history.database"]["detail"]


def test_an_instance_that_runs_is_counted_and_one_that_died_is_told(program):
    program.environ["TUI_CHAT_DEMO_SPEED"] = "1"
    with program.start("ask", "-m", "demo/rambler", "hello") as process:
        assert process.stdout.read(1)
        assert examined(program)["history.instances"]["detail"].startswith("1 running now")
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = contents(program.home)
    check = examined(program)["history.instances"]
    assert (check["status"], "without saying goodbye" in check["detail"]) == ("warn", True)
    after = contents(program.home)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert {name for name in changed if not name.endswith("-shm")} == set()
    (program.home / "chats.db-shm").unlink()
    assert "not looked into" in examined(program)["history.integrity"]["detail"]
    assert not (program.home / "chats.db-shm").exists()


def test_a_check_that_takes_too_long_is_given_up(program):
    used(program)
    seen = inspect_history(program.home / "chats.db", 0)
    assert (seen.wrong, seen.conversations) == (None, 1)
    assert inspect_history(program.home / "chats.db", 5).checked
