import copy

from tests.support.pages import FORGETTING, make_metrics, metrics_tree, unscored_metrics

from palimpsest.report import judge
from palimpsest.report.tables import configuration, forgetting_rows, score_rows, tiles


def test_tiles_leave_out_an_absent_score(make_report):
    scores = metrics_tree(mse=0.02, top1=0.8, count=120)["reconstruction"]
    scores["lpips"] = None
    page = make_report(120, parts={"reconstruction": scores})
    shown = {label: value for label, value, _ in tiles(page, judge(page))}
    assert "LPIPS" not in shown
    assert shown["Identified (top-1)"] == "80.0\N{NO-BREAK SPACE}%"
    assert shown["MSE"] == "0.02"
    assert shown["Test accuracy"] == "95.5\N{NO-BREAK SPACE}%"


def test_score_rows_show_baselines_beside_the_attack():
    table = score_rows(make_metrics(mse=0.02, top1=0.8, count=1000))
    assert table["columns"] == ["Mean image", "Nearest auxiliary"]
    assert "Nearest auxiliary" in dict(table["meanings"])
    first = table["rows"][0]
    assert (first["label"], first["ours"]) == ("MSE", "0.02")
    assert first["baselines"] == [("0.08", ""), ("0.05", "")]
    assert first["interval"] == "0.019 to 0.021"
    assert table["rows"][-2]["chance"] == "0.1\N{NO-BREAK SPACE}%"


def test_shares_of_baselines_have_their_interval():
    rate = {"value": 0.0, "low": 0.0, "high": 0.25, "chance": 0.1, "count": 10}
    metrics = make_metrics(mse=0.02, top1=0.8, count=10, rates={"identification_top1_mean_image": rate})
    (row,) = (row for row in score_rows(metrics)["rows"] if row["label"] == "Identified (top-1)")
    assert row["baselines"][0][1].replace("\N{NO-BREAK SPACE}", " ") == "0.0 % to 25.0 %"


def test_forgetting_rows_show_before_after_change_and_retrained():
    space, minus = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
    metrics = make_metrics(mse=0.02, top1=0.8, count=120)
    rows = {label: [value for value, _ in cells] for label, _, cells in forgetting_rows(metrics, "images")}
    assert len(rows) == 6
    assert rows["Accuracy on test images"] == [
        f"96.8{space}%",
        f"95.5{space}%",
        f"{minus}1.3 points",
        f"95.9{space}%",
    ]
    assert rows["Membership inference by loss, AUC"] == ["0.612", "0.507", f"{minus}0.105", "0.503"]
    assert rows["Parameter distance to the retrained model"] == ["1", "0.31", f"{minus}0.690", "0"]
    assert forgetting_rows(unscored_metrics(), "images") == []


def test_further_tests_are_rows_without_further_code():
    before, after = {"value": 0.8, "interval": (0.7, 0.9)}, {"value": 0.5, "interval": (0.4, 0.6)}
    tests = [
        {
            "name": "lira-auc",
            "label": "LiRA on forgotten samples, AUC",
            "original": before,
            "unlearned": after,
        },
        {"name": "relearn-time", "label": "Relearn time, rounds", "unlearned": {"value": 3.0}},
    ]
    metrics = make_metrics(mse=0.02, top1=0.8, count=120, forgetting_tests=tests)
    (label, _, cells), (_, _, alone) = forgetting_rows(metrics, "images")
    assert label == "LiRA on forgotten images, AUC"
    assert cells == [("0.8", "0.7 to 0.9"), ("0.5", "0.4 to 0.6"), ("\N{MINUS SIGN}0.300", "")]
    assert alone == [("–", ""), ("3", ""), ("", "")]


def test_forgetting_rows_have_intervals_and_chance():
    space = "\N{NO-BREAK SPACE}"
    rate = {"value": 0.9, "low": 0.8, "high": 0.95, "chance": 0.1, "count": 100}
    rates = {"accuracy_test_original": rate, "accuracy_test_unlearned": rate}
    forgetting = copy.deepcopy(FORGETTING)
    forgetting["original"]["test"] = 0.9
    metrics = make_metrics(mse=0.02, top1=0.8, count=120, forgetting=forgetting, rates=rates)
    chance, cells = {label: rest for label, *rest in forgetting_rows(metrics, "images")}[
        "Accuracy on test images"
    ]
    assert chance == f"10.0{space}%"
    assert cells[0] == (f"90.0{space}%", f"80.0{space}% to 95.0{space}%")
    assert cells[3] == (f"95.9{space}%", "")


def test_configuration_contains_every_key(config):
    sections = dict(configuration(config))
    assert ("seed", "1234") in sections["general"]
    assert ("sigma", "0.1") in sections["defenses 1"]
    assert ("auxiliary", "none") in sections["data"]
    shown = sum(len(rows) for rows in sections.values())
    nested = [part for part in config.values() if isinstance(part, dict)] + config["defenses"]
    plain = [part for part in config.values() if not isinstance(part, dict | list)]
    assert shown == sum(map(len, nested)) + len(plain)
