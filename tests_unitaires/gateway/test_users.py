import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gateway.dependencies import Services
from gateway.users import Users, bootstrap
from meteo.errors import Conflict, InvalidInput
from meteo.runtime.database import connect


@pytest.fixture
def users(tmp_path: Path) -> Users:
    found = Users(connect(f"sqlite:///{tmp_path / 'users.db'}"))
    found.create_tables()
    return found


def test_the_first_logins_are_random_private_and_made_once(users: Users, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    assert bootstrap(users, path) is True
    text = path.read_text()
    assert bootstrap(users, path) is False
    assert path.read_text() == text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    logins = json.loads(text)
    assert set(logins) == {"admin", "user"}
    assert logins["admin"]["password"] != logins["user"]["password"]
    assert {role: getattr(users.get(logins[role]["username"]), "role", None) for role in logins} == {
        "admin": "admin", "user": "user",
    }  # fmt: skip


def test_an_interrupted_bootstrap_goes_on_with_the_same_passwords(users: Users, tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    logins = {role: {"username": role, "password": f"{role} walks the tall dunes"} for role in ("admin", "user")}
    path.write_text(json.dumps(logins))
    users.add("admin", logins["admin"]["password"], "admin")
    assert bootstrap(users, path) is True
    assert users._verify("user", "user walks the tall dunes") is not None


def test_passwords_are_hashed_with_argon2id(services: Services) -> None:
    from sqlalchemy import select

    from gateway.tables import USERS

    with services.users._engine.connect() as connection:
        stored = connection.scalars(select(USERS.c.password_hash)).all()
    assert all(each.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for each in stored)


@pytest.mark.parametrize("name", ["A", "Ann", "a b", "-ann", "x" * 33, "ann\n", "änn", ""])
def test_odd_user_names_are_refused(users: Users, name: str) -> None:
    with pytest.raises(InvalidInput, match="username"):
        users.add(name, "a long enough password", "user")


@pytest.mark.parametrize(
    "password", ["short", "x" * 1025, "x" * 300, "passwordpassword", "123456789012", "qwertyuiop[]", "ann-ann-ann1"]
)
def test_short_and_endless_passwords_are_refused(users: Users, password: str) -> None:
    with pytest.raises(InvalidInput, match="password"):
        users.add("ann", password, "user")
    with pytest.raises(InvalidInput, match="password"):
        users.add("ann.the.longest", "Ann.The.Longest", "user")


def test_any_script_will_do_for_a_password(users: Users) -> None:
    users.add("ann", "Прогноз дождя на завтра 🌧", "user")
    assert users._verify("ann", "Прогноз дождя на завтра 🌧") is not None


def test_a_taken_name_is_a_conflict(users: Users) -> None:
    users.add("ann", "a long enough password", "user")
    with pytest.raises(Conflict, match="taken"):
        users.add("ann", "another long password", "user")


def shell(home: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """`python -m gateway users …`; its exit code and its JSON summary."""
    environment = {"METEO_HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-m", "gateway", "users", *arguments], env=environment, capture_output=True,
                          text=True, check=False)  # fmt: skip
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_accounts_can_be_kept_from_the_shell(tmp_path: Path) -> None:
    _, made = shell(tmp_path, "add", "root", "--role", "admin")
    assert made["must_change"] is True
    users = Users(connect(f"sqlite:///{tmp_path / 'gateway.db'}"))
    assert users._verify("root", made["password"]) is not None
    code, refused = shell(tmp_path, "change", "root", "--no-enabled")
    assert (code, "nobody would be left" in refused["error"]) == (1, True)
    shell(tmp_path, "add", "ann")
    assert shell(tmp_path, "change", "ann", "--role", "admin", "--no-enabled")[1]["enabled"] is False
    assert shell(tmp_path, "reset", "ann")[1]["password"] != made["password"]
    assert shell(tmp_path, "delete", "ann")[1]["deleted"] == "ann"
    assert [user["username"] for user in shell(tmp_path, "list")[1]["users"]] == ["root"]
