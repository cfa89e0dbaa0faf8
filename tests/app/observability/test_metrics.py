"""The dashboard uses metrics that the server has."""

from __future__ import annotations

import json
import re

from prometheus_client.parser import text_string_to_metric_families

from app.observability.metrics import Metrics
from tests.conftest import REPOSITORY

AS_ASKED = {"santacoder_slots", "santacoder_waiting", "santacoder_engine_failing"}


class Nothing:
    def engines(self) -> list[object]:
        return []


def test_every_figure_of_the_dashboard_exists() -> None:
    metrics = Metrics()
    metrics.watch(Nothing())  # type: ignore[arg-type]
    families = {family.name for family in text_string_to_metric_families(metrics.text().decode())}
    asked = set(re.findall(r"santacoder_\w+", (REPOSITORY / "docs" / "grafana.json").read_text()))
    assert {re.sub("_(total|bucket)$", "", name) for name in asked} <= families
    assert families >= AS_ASKED
    assert len(json.loads((REPOSITORY / "docs" / "grafana.json").read_text())["panels"]) == 9
