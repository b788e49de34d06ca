"""The commands as functions: what they return is what the commands write, shows itself and converts."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import palimpsest as pp
from palimpsest.api.audit import sweep_folder
from palimpsest.api.progress import reporting
from palimpsest.cli import main
from palimpsest.models import build_own

TINY: dict[str, Any] = {
    "data": {"auxiliary_size": 60},
    "model": {"name": "lenet"},
    "federation": {"clients": 4, "fraction": 0.5, "rounds": 2},
    "unlearning": {"count": 12},
    "attack": {"beta": 0, "epochs": 2, "width": 16},
    "scoring": {"bootstrap": 50},
}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> pp.AuditResult:
    return pp.audit("digits", TINY, out=tmp_path_factory.mktemp("runs") / "one")


def test_an_audit_shows_its_verdict_and_its_scores(result: pp.AuditResult) -> None:
    assert result.report.is_file()
    shown = result._repr_html_()
    assert result.verdict.splitlines()[0] in shown
    assert shown.count("<tr>") == 1 + len(result.to_frame())


def test_an_audits_frame_holds_the_numbers_of_its_metrics(result: pp.AuditResult) -> None:
    scores = result.to_frame()
    tree = result.metrics
    assert scores.loc["mse", "value"] == tree.reconstruction.mse
    assert (scores.loc["mse", "low"], scores.loc["mse", "high"]) == tree.intervals["mse"]
    assert scores.loc["mse", "mean_image"] == tree.baselines["mean_image"].mse
    assert scores.loc["identification_top1", "chance"] == pytest.approx(1 / 12)
    images = result.per_image()
    assert len(images) == 12
    assert images["mse"].mean() == pytest.approx(tree.reconstruction.mse, rel=1e-5)
    assert images["accepted"].sum() == tree.verification.accepted


def test_an_audit_goes_on_with_the_same_call(result: pp.AuditResult) -> None:
    config = pp.read_config("digits", TINY)
    assert pp.audit(config, out=str(result.folder)).metrics == result.metrics
    with pytest.raises(pp.PalimpsestError, match="Overrides go with a preset"):
        pp.audit(config, {"seed": 2})


def test_a_sweep_and_its_comparison(result: pp.AuditResult, tmp_path: Path) -> None:
    swept = pp.sweep("digits", {"attack.epochs": [1, 2]}, TINY, out=tmp_path / "swept")
    assert [run.folder.name for run in swept] == ["epochs-1", "epochs-2"]
    assert swept.runs[1].values["mse"] == result.metrics.reconstruction.mse
    assert "digits by grid" in (tmp_path / "swept" / "comparison.html").read_text()
    assert sweep_folder("a/mine.yaml", "grids/epochs.yaml") == Path("runs/mine-epochs")
    both = pp.compare(result.folder, tmp_path / "swept", out=tmp_path / "pages", title="Three")
    assert len(both) == 3
    table = both.to_frame()
    assert table["mse"].tolist() == [run.values["mse"] for run in both]
    assert "Three" in (tmp_path / "pages" / "comparison.html").read_text()
    assert json.loads((tmp_path / "pages" / "comparison.json").read_text()) == both.to_json()
    assert both._repr_html_().count("<tr>") == 4
    with pytest.raises(pp.PalimpsestError, match="There is no run"):
        pp.compare(tmp_path / "nothing")
    with pytest.raises(pp.PalimpsestError, match="name a folder with out"):
        pp.compare(result.folder, pictures=True)
    pp.compare(result.folder, out=tmp_path / "pages", pictures=True)
    assert (tmp_path / "pages" / "pictures" / "mse.svg").is_file()
    with pytest.raises(pp.PalimpsestError, match=r"attack\.epochs is 'abc'"):
        pp.sweep("digits", {"attack.epochs": "abc"}, out=tmp_path / "not")


def test_runs_sets_the_damaged_aside(result: pp.AuditResult, tmp_path: Path) -> None:
    assert "no run" in pp.runs(tmp_path)._repr_html_()
    assert pp.runs(tmp_path).to_frame().empty
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "manifest.json").write_text("{")
    (tmp_path / "good").symlink_to(result.folder)
    listed = pp.runs(tmp_path)
    assert list(listed.damaged) == [tmp_path / "bad"]
    assert str(tmp_path / "bad") in listed._repr_html_()
    assert pp.runs(result.folder).runs[0].finished


def test_a_report_is_rendered_again_and_redacted(result: pp.AuditResult, tmp_path: Path) -> None:
    before = result.report.read_text()
    assert pp.report(result.folder) == result.report
    # All but the command, which a call does not have.
    assert len(result.report.read_text()) == len(before)
    redacted = pp.report(result.folder, redact=True, out=tmp_path / "r.html", pictures=True)
    assert "Redacted." in redacted.read_text()
    assert (tmp_path / "pictures" / "gallery.svg").is_file()


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two checkpoints of a LeNet, and folders of images."""
    folder = tmp_path_factory.mktemp("brought")
    random = np.random.default_rng(1)
    for place, count in (("auxiliary", 12), ("forgotten", 4)):
        for label in range(2):
            (folder / place / f"class{label}").mkdir(parents=True)
            for row in range(count):
                pixels = random.integers(0, 255, (8, 8)).astype(np.uint8)
                Image.fromarray(pixels).save(folder / place / f"class{label}" / f"{row:02}.png")
    torch.manual_seed(0)
    network = build_own("lenet", {}, shape=(1, 8, 8), classes=2)
    for name in ("original", "unlearned"):
        state = {key: value + 0.1 * torch.randn(value.shape) for key, value in network.state_dict().items()}
        save_file(state, folder / f"{name}.safetensors")
    return {
        "original": folder / "original.safetensors",
        "unlearned": folder / "unlearned.safetensors",
        "model": "lenet",
        "forgotten": folder / "forgotten",
        "auxiliary": folder / "auxiliary",
    }


def test_proofs_are_made_as_the_command_makes_them(brought: dict[str, Any], tmp_path: Path) -> None:
    pair = brought["original"], brought["unlearned"]
    proofs = pp.prove(*pair, brought["forgotten"], model="lenet", out=tmp_path / "a.safetensors")
    arguments = ["prove", "--original", *pair[:1], "--unlearned", *pair[1:], "--model", "lenet", "--samples"]
    with pytest.raises(SystemExit, match="0"):
        main([*map(str, arguments), str(brought["forgotten"]), "--out", str(tmp_path / "b.safetensors")])
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert "8 proofs" in proofs._repr_html_()
    assert len(proofs.to_frame()) == 8
    with pytest.raises(pp.PalimpsestError, match="two modules and an ImageSet"):
        # A type checker sees it too: this is for those who have none.
        pp.prove(torch.nn.Linear(1, 1), *pair[1:], brought["forgotten"])  # type: ignore[call-overload]
    with pytest.raises(pp.PalimpsestError, match="imagesize"):
        pp.prove(*pair, brought["forgotten"], model="lenet", imagesize=8)


def test_proofs_are_defended_and_verified_in_memory_and_as_files(tmp_path: Path) -> None:
    vectors = torch.randn(5, 20, generator=torch.Generator().manual_seed(0))
    proofs, path = pp.Proofs(vectors, {"loss": "cross_entropy"}), tmp_path / "proofs.safetensors"
    pp.save_proofs(path, proofs)

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(3)

    signed = pp.defend(vectors, "sign", generator=generator())
    assert isinstance(signed, torch.Tensor)
    defended = pp.defend(path, "prune", ratio=0.5, generator=generator(), out=tmp_path / "d.safetensors")
    again = pp.defend(proofs, [{"name": "prune", "ratio": 0.5}], generator=generator())
    assert torch.equal(defended.vectors, again.vectors)
    assert json.loads(defended.metadata["defenses"])[0]["ratio"] == 0.5
    assert torch.equal(pp.load_proofs(tmp_path / "d.safetensors").vectors, defended.vectors)
    assert not torch.equal(pp.defend(proofs, "gaussian").vectors, pp.defend(proofs, "gaussian").vectors)
    with pytest.raises(pp.PalimpsestError, match="is the file that is read"):
        pp.defend(path, "sign", out=path)
    with pytest.raises(pp.PalimpsestError, match="Settings go into the list"):
        pp.defend(proofs, [{"name": "sign"}], ratio=0.5)
    with pytest.raises(pp.PalimpsestError, match="not a JSON list"):
        pp.defend(pp.Proofs(vectors, {"defenses": "<b>"}), "sign")

    tau = float(vectors.norm(dim=1).median())
    verdicts = pp.verify(path, tau=tau)
    calibrated = pp.verify(path, calibrate=proofs, quantile=0.5)
    assert calibrated.accepted.sum() == 3
    assert calibrated.tau == pytest.approx(tau)
    for threshold in ({}, {"tau": tau, "calibrate": path}):
        with pytest.raises(pp.PalimpsestError, match="give tau, or calibrate with other proofs, not both"):
            pp.verify(path, **threshold)
    one, other = (pp.defend(proofs, "gaussian", seed=5).vectors for _ in range(2))
    assert torch.equal(one, other)
    with pytest.raises(pp.PalimpsestError, match="from a generator or from a seed"):
        pp.defend(proofs, "gaussian", seed=5, generator=generator())
    assert torch.equal(verdicts.accepted, pp.verify(vectors, tau=tau).accepted)
    assert verdicts.to_frame()["accepted"].sum() == 3
    assert "3 of 5 proofs accepted" in verdicts._repr_html_()
    assert verdicts._repr_html_().count("<tr>") == 3


def test_a_case_is_examined_and_attacked(brought: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "proofs.safetensors"
    pp.prove(brought["original"], brought["unlearned"], brought["forgotten"], model="lenet", out=path)
    keys = {key: brought[key] for key in ("original", "unlearned", "model", "auxiliary")}
    small = {
        "name": "igf",
        "epochs": 1,
        "width": 8,
        "components": 4,
        "beta": 0,
        "queries": 2,
        "mirrored": False,
    }
    examined = pp.doctor(proofs=path, **keys, truth=brought["forgotten"], attack=small)
    assert examined.fits
    assert len(examined.to_frame()) == len(examined) == examined._repr_html_().count("<tr>") - 1
    assert not pp.doctor(proofs=tmp_path / "nothing", **keys).fits
    attacked = pp.attack(proofs=path, **keys, attack=small, out=tmp_path / "run")
    assert "nothing is scored" in attacked.verdict
    assert attacked.to_frame().empty
    assert len(attacked.per_image()) == 8
    case = pp.read_case(attacked.folder / "config.yaml")
    assert pp.attack(case, out=tmp_path / "run").metrics == attacked.metrics
    with pytest.raises(pp.PalimpsestError, match="Keys go with a file or alone"):
        pp.attack(case, seed=1)


def test_what_a_sender_wrote_stays_text() -> None:
    hostile = pp.Proofs(torch.ones(1, 2), {"<script>": "<img src=x onerror=alert(1)>" + "x" * 10_000})
    shown = hostile._repr_html_()
    assert "<script>" not in shown
    assert "<img" not in shown
    assert len(shown) < 3_000


def test_a_table_that_does_not_exist_is_refused() -> None:
    with pytest.raises(pp.PalimpsestError, match="igf-table1"):
        pp.reproduce("igf-table9")
    with pytest.raises(pp.PalimpsestError, match="leave cells and seeds out"):
        pp.reproduce("verifiers", seeds=(1, 2))


def test_a_reproduced_table_shows_itself(tmp_path: Path) -> None:
    cells = [{"name": "one", "scores": {"mse": {"mean": 0.5}}}, {"name": "two", "scores": {}}]
    (tmp_path / "some.json").write_text(json.dumps({"cells": cells}))
    (tmp_path / "some.md").write_text("| a |\n")
    table = pp.Reproduction("some", tmp_path)
    assert table._repr_markdown_() == "| a |\n"
    assert table.to_frame()["scores.mse.mean"].tolist()[0] == 0.5


def test_a_call_inside_a_command_reports_where_the_command_does() -> None:
    with reporting(quiet=True, command="palimpsest audit") as outer, reporting(machine=True) as inner:
        assert inner is outer
    with reporting() as later:
        assert later.command == ""
