import torch

from palimpsest.report import UnscoredInput, render_unscored
from palimpsest.report.unscored import MOST_IMAGES


def page(count: int = 3, **changed: object) -> str:
    values = {
        "title": "igf against <b>proofs</b>",
        "command": "palimpsest attack",
        "facts": [("Attack", "igf")],
        "config": {"seed": 1, "attack": {"name": "igf"}},
        "config_yaml": "seed: 1\n",
        "versions": {"torch": "2"},
        "seconds": {"attack": 1.0},
        "reconstructions": torch.rand(count, 1, 8, 8),
        "accepted": torch.arange(count) > 0,
        "norms": torch.arange(count).float(),
        "tau": 1.5,
        "curves": {"training_loss": [1.0, 0.5]},
        "knowledge": ["Proofs."],
        "notes": ["A <script>note</script>."],
    }
    return render_unscored(UnscoredInput(**(values | changed)))  # type: ignore[arg-type]


def test_it_shows_every_reconstruction_and_says_that_nothing_is_known_of_them() -> None:
    text = page()
    assert text.count('alt="Reconstruction of proof') == 3
    assert "is not known" in text
    assert "2 of 3 are" in text
    assert "<svg" in text


def test_it_has_no_script_and_loads_nothing() -> None:
    text = page()
    assert "<script" not in text
    assert "default-src &#39;none&#39;" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "&lt;b&gt;proofs" in text


def test_a_page_of_many_says_how_many_it_shows() -> None:
    text = page(MOST_IMAGES + 5)
    assert text.count('alt="Reconstruction of proof') == MOST_IMAGES
    assert f"Shown are the first {MOST_IMAGES}" in text


def test_an_attack_without_curves() -> None:
    assert "recorded no curve" in page(curves={})
