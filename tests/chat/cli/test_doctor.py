"""The doctor's findings against real servers and missing ones."""

from pathlib import Path

import pytest

from chat.cli.doctor import Severity, examine
from support.certificates import Authority
from support.command_line import hubbub

GOOD = f'[token]\nhmac_secret_key = "{"k" * 32}"\n[api]\nkey = "{"a" * 32}"\n'


@pytest.fixture(autouse=True)
def file(empty_directory: Path) -> Path:
    path = empty_directory / "config.toml"
    path.write_text(GOOD)
    path.chmod(0o600)
    return path


@pytest.fixture
def variables(mongodb_url: str, redis_url: str, new_database_name: str) -> dict[str, str]:
    return {"MONGODB_URL": mongodb_url, "REDIS_URL": redis_url, "HUBBUB_MONGODB__DATABASE": new_database_name}


def test_each_problem_says_why_it_matters_and_what_to_type(variables: dict[str, str]) -> None:
    ran = hubbub("doctor", env=variables)
    assert ran.code == 1
    assert "is missing" in ran.out
    assert "help: hubbub migrate" in ran.out
    assert hubbub("migrate", env=variables).code == 0
    ran = hubbub("doctor", env=variables)
    assert ran.code == 0, ran.out
    assert "is migrated" in ran.out
    assert "Redis at" in ran.out
    assert "no server answers at http://127.0.0.1:8000" in ran.out
    assert "help: hubbub serve" in ran.out


def test_servers_that_do_not_answer_are_problems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URL", "mongodb://u:hunter2@127.0.0.1:1/?timeoutMS=300")
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2@127.0.0.1:1")
    findings = examine(None, url="http://127.0.0.1:1")
    problems = [one for one in findings if one.severity is Severity.PROBLEM]
    assert [one.what.partition(" ")[0] for one in problems] == ["MongoDB", "Redis"]
    assert all(one.why and one.command for one in problems)
    assert "hunter2" not in repr(findings)


def test_a_readable_file_with_secrets_is_a_problem(file: Path, variables: dict[str, str]) -> None:
    file.chmod(0o644)
    assert f"chmod 600 {file}" in hubbub("doctor", env=variables).out
    file.write_text("")
    assert "chmod" not in hubbub("doctor", env=variables).out


def test_a_configuration_that_cannot_be_read_is_the_only_finding(file: Path) -> None:
    file.write_text("[server]\nprot = 1\n")
    (finding,) = examine(None)
    assert "did you mean server.port?" in finding.what


def test_findings_are_lines_of_json_on_request(variables: dict[str, str]) -> None:
    lines = hubbub("doctor", "--json", env=variables).out.splitlines()
    assert len(lines) > 3
    assert all(line.startswith('{"severity":"') for line in lines)


def test_a_store_of_files_that_cannot_be_written_is_a_problem(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def found() -> str:
        (finding,) = (one for one in examine(None) if one.what.startswith(("the directory", "the bucket", "uploads")))
        assert bool(finding.command) is (finding.severity is not Severity.OK)
        return f"{finding.severity} {finding.what}"

    monkeypatch.setenv("HUBBUB_UPLOADS__DIRECTORY", str(tmp_path / "new" / "files"))
    assert found().startswith("ok the directory of uploads")
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HUBBUB_UPLOADS__DIRECTORY", str(tmp_path / "file"))
    assert "cannot be written" in found()
    monkeypatch.setenv("HUBBUB_UPLOADS__STORE", "s3")
    monkeypatch.setenv("HUBBUB_UPLOADS__S3__ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("HUBBUB_UPLOADS__S3__BUCKET", "files")
    monkeypatch.setenv("HUBBUB_UPLOADS__S3__ACCESS_KEY_ID", "hunter")
    monkeypatch.setenv("HUBBUB_UPLOADS__S3__SECRET_ACCESS_KEY", "hunter2")
    assert found().startswith("problem the bucket files at http://127.0.0.1:1 cannot be written")
    assert "hunter" not in found()
    monkeypatch.setenv("HUBBUB_UPLOADS__STORE", "off")
    assert found() == "ok uploads are off"


@pytest.mark.parametrize(
    ("days", "severity", "says"),
    [
        (-1, Severity.PROBLEM, "has expired"),
        (5.5, Severity.WARNING, "expires in 5 days"),
        (90.5, Severity.OK, "good for"),
    ],
)
def test_the_days_of_a_certificate_are_counted(
    file: Path, tmp_path: Path, days: float, severity: Severity, says: str
) -> None:
    files = Authority(tmp_path).issue("server", days=days)
    file.write_text(f'{GOOD}[server.tls]\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n')
    findings = [one for one in examine(None, url="https://127.0.0.1:1") if "the certificate" in one.what]
    assert [one.severity for one in findings] == [severity]
    assert says in findings[0].what
