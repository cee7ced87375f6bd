"""The table of roles and rights."""

from pathlib import Path

import pytest

from hector.auth.access import Access, allows, may, sees, table
from hector.core.identity import OPEN, Principal, Role, Via

RIGHTS = {
    Role.ADMIN: {Access.PUBLIC, Access.AGENTS, Access.METRICS, Access.APP, Access.OPERATOR, Access.ADMIN},
    Role.OPERATOR: {Access.PUBLIC, Access.AGENTS, Access.METRICS, Access.APP, Access.OPERATOR},
    Role.APP: {Access.PUBLIC, Access.AGENTS, Access.METRICS, Access.APP},
    Role.USER: {Access.PUBLIC, Access.AGENTS},
}


@pytest.mark.proves("auth.roles")
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("access", Access)
def test_a_role_has_its_rights_and_no_others(role: Role, access: Access) -> None:
    assert may(role, access) is (access in RIGHTS[role])


@pytest.mark.proves("auth.visibility")
@pytest.mark.parametrize(
    ("visibility", "anonymous", "known"),
    [("public", True, True), ("internal", False, True), ("private", False, False), ("other", False, False)],
)
def test_who_sees_an_agent(visibility: str, anonymous: bool, known: bool) -> None:
    assert sees(OPEN, visibility) is anonymous
    assert sees(Principal("somebody", Role.USER, Via.API_KEY), visibility) is known


@pytest.mark.proves("auth.roles")
@pytest.mark.parametrize("role", Role)
def test_whoever_is_bound_to_an_app_has_no_right_over_the_server(role: Role) -> None:
    bound, free = (Principal("somebody", role, Via.OIDC, app=app) for app in ("shop", None))
    for access in Access:
        assert allows(free, access) is may(role, access)
        assert allows(bound, access) is (may(role, access) and access not in (Access.OPERATOR, Access.ADMIN))


def test_the_table_has_a_row_for_each_right() -> None:
    header, *rows = table()
    assert header == ("right", "for", "admin", "operator", "app", "user")
    assert [row[0] for row in rows] == list(Access)
    assert rows[-1][2:] == ("yes", "", "", "")


@pytest.mark.proves("auth.roles")
def test_the_guide_shows_the_table_of_the_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "authentication.md").read_text(encoding="utf-8")
    shown = page.partition("<!-- table: hector/auth/access.py -->")[2].partition("<!-- end -->")[0]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in shown.split("\n") if "|" in line]
    assert [row for row in rows if set(row) != {"---"}] == list(table())
