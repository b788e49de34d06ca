import json

from tests.support.pages import synthetic_report

from palimpsest.report.summary_json import summary_tree


def test_holds_the_summary_the_findings_and_the_metrics() -> None:
    page = synthetic_report(12, finished="1 May 2030", hashes=[("proofs", "ab12")])
    tree = json.loads(json.dumps(summary_tree(page), allow_nan=False))
    assert tree["finished"] == "1 May 2030"
    assert tree["sha256"] == {"proofs": "ab12"}
    assert len(tree["conclusion"]) == 2
    assert tree["metrics"] == page.metrics.tree()
    assert tree["risk"] in ("high", "medium", "low", "unknown")


def test_a_redacted_tree_names_no_place() -> None:
    page = synthetic_report(12, notes=["Read from /home/quill/x."], title="igf attack on proofs.safetensors")
    tree = summary_tree(page, redact=True)
    assert "quill" not in json.dumps(tree)
    assert tree["title"] == "igf attack on [left out]"
    assert "quill" in json.dumps(summary_tree(page))
