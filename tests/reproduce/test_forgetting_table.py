import json

from tests.support.forgetting import measured

from palimpsest.reproduce.forgetting_rows import ORIGINAL, make_row
from palimpsest.reproduce.forgetting_table import as_json, markdown

RUNS = {1: measured(accuracy=0.4), 2: measured(accuracy=0.6)}
ROWS = [
    make_row("here", ORIGINAL, RUNS, seconds={1: 2.0, 2: 2.0}),
    make_row("here", "ascent", RUNS, seconds={1: 2.0, 2: 2.0}),
    make_row("here", "rapid", {}, seconds={}, failure="It diverged."),
]


def test_tables_have_a_row_for_each_method():
    page = markdown(ROWS, title="A title", command="a command", shadows=16)
    assert page.startswith("# A title\n\n    a command\n\n## here\n")
    assert page.count("\n| ascent | ") == page.count("\n| original | ") == 4
    assert "| ascent | 50.0% (0.0% to 100.0%) |" in page
    assert "not measurable (needs 1,000 nonmembers)" in page
    assert "rapid was not measured: It diverged." in page
    assert "Seeds: 1, 2. Shadow federations: 16." in page


def test_every_row_of_a_table_has_as_many_cells_as_its_head():
    page = markdown(ROWS, title="A title", command="a command", shadows=16)
    for block in page.split("\n\n"):
        sizes = {line.count("|") for line in block.splitlines() if line.startswith("|")}
        assert len(sizes) <= 1


def test_json_has_all_numbers():
    tree = json.loads(json.dumps(as_json(ROWS, title="A title", shadows=16)))
    cell = tree["cells"][1]
    assert (cell["name"], cell["seeds"]) == ("here/ascent", [1, 2])
    assert cell["numbers"]["test"]["values"] == [0.4, 0.6]
    assert cell["detections"]["u-lira"][1] == {"rate": 0.001, "needed": 1000, "found": None}
    assert tree["cells"][2]["failure"] == "It diverged."
