from palimpsest.report.tables import configuration, facts, forgetting_rows, score_rows, tiles
from palimpsest.report.verdict import judge


def test_facts_name_the_parts(config):
    assert dict(facts(config)) == {
        "Data": "digits",
        "Model": "convnet",
        "Unlearning": "sample level, retrain",
        "Defence": "gaussian",
        "Attack": "igf",
        "Seed": "1234",
    }
    assert dict(facts({**config, "defenses": []}))["Defence"] == "none"


def test_tiles_leave_out_an_absent_score(report, metrics_of):
    metrics = metrics_of(mse=0.02, top1=0.8, count=120)
    metrics["reconstruction"]["lpips"] = None
    verdict = judge(metrics, labels=report.labels)
    shown = {label: value for label, value, _ in tiles(_with(report, metrics), verdict)}
    assert "LPIPS" not in shown
    assert shown["Told apart"] == "80.0\N{NO-BREAK SPACE}%"
    assert shown["MSE"] == "0.02"
    assert shown["Test accuracy"] == "95.5\N{NO-BREAK SPACE}%"


def test_score_rows_put_baselines_beside_the_attack(metrics_of):
    table = score_rows(metrics_of(mse=0.02, top1=0.8, count=1000))
    assert table["columns"] == ["Mean image", "Nearest auxiliary"]
    assert "Nearest auxiliary" in dict(table["meanings"])
    first = table["rows"][0]
    assert (first["label"], first["ours"], first["baselines"]) == ("MSE", "0.02", ["0.08", "0.05"])
    assert first["interval"] == "0.019 to 0.021"
    assert table["rows"][-2]["chance"] == "0.1\N{NO-BREAK SPACE}%"


def test_forgetting_rows_show_the_change_and_skip_what_is_absent():
    space, minus = "\N{NO-BREAK SPACE}", "\N{MINUS SIGN}"
    rows = forgetting_rows(
        {"accuracy_test": [0.9, 0.85, 0.86], "accuracy_retained": None, "membership_auc": [0.6, 0.5]}
    )
    assert rows == [
        (
            "Accuracy on test images",
            [f"90.0{space}%", f"85.0{space}%", f"{minus}5.0 points", f"86.0{space}%"],
        ),
        ("Membership inference, AUC", ["0.6", "0.5", f"{minus}0.100", "–"]),
    ]
    assert forgetting_rows(None) == []


def test_forgetting_rows_have_the_intervals_and_the_chance_that_were_measured():
    space = "\N{NO-BREAK SPACE}"
    rate = {"low": 0.8, "high": 0.95, "chance": 0.1}
    ((label, values),) = forgetting_rows(
        {"accuracy_test": [0.9, 0.85, 0.86]},
        {"accuracy_test_original": rate, "accuracy_test_unlearned": rate},
    )
    assert label == f"Accuracy on test images (chance 10.0{space}%)"
    assert values[0] == f"90.0{space}% (80.0{space}% to 95.0{space}%)"
    assert values[3] == f"86.0{space}%"


def test_configuration_holds_every_key(config):
    sections = dict(configuration(config))
    assert ("seed", "1234") in sections["general"]
    assert ("sigma", "0.1") in sections["defenses 1"]
    assert ("auxiliary", "none") in sections["data"]
    shown = sum(len(rows) for rows in sections.values())
    nested = [part for part in config.values() if isinstance(part, dict)] + config["defenses"]
    plain = [part for part in config.values() if not isinstance(part, dict | list)]
    assert shown == sum(map(len, nested)) + len(plain)


def _with(report, metrics):
    return type(report)(**{**vars(report), "metrics": metrics})
