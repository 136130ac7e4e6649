"""The dashboards as committed; what their queries return is in `test_prometheus_stack.py`."""

from __future__ import annotations

import subprocess
import sys

from tests.deploy.monitored import DEPLOY, dashboards


def test_the_committed_dashboards_are_what_the_generator_writes() -> None:
    command = [sys.executable, str(DEPLOY / "grafana/generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_uids_are_fixed_since_links_carry_them() -> None:
    assert {name: dashboard["uid"] for name, dashboard in dashboards().items()} == {
        "treasuries": "treasury-watcher-treasuries",
        "operations": "treasury-watcher-operations",
    }


def test_every_panel_and_query_takes_the_data_source_that_is_chosen() -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    for dashboard in dashboards().values():
        assert dashboard["templating"]["list"][0]["name"] == "datasource"
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        assert panels
        for panel in panels:
            assert panel["datasource"] == chosen
            assert all(target["datasource"] == chosen for target in panel["targets"])


def test_no_panel_lies_on_another_or_beyond_the_edge() -> None:
    for dashboard in dashboards().values():
        taken: set[tuple[int, int]] = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            cells = {
                (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            assert at["x"] + at["w"] <= 24, panel["title"]
            taken |= cells
        identities = [panel["id"] for panel in dashboard["panels"]]
        assert len(identities) == len(set(identities))
