from tests.support.pages import draw, unscored_page

from palimpsest.report.unscored import MOST_IMAGES


def test_shows_every_reconstruction_without_scores() -> None:
    text = draw(unscored_page())
    assert text.count('alt="Reconstruction of proof') == 3
    assert "is not known" in text
    assert "2 of 3 proofs" in text
    assert "<svg" in text


def test_has_no_script_and_loads_nothing() -> None:
    text = draw(unscored_page())
    assert "<script" not in text
    assert "default-src &#39;none&#39;" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "&lt;b&gt;proofs" in text


def test_states_how_many_of_many_it_shows() -> None:
    text = draw(unscored_page(MOST_IMAGES + 5))
    assert text.count('alt="Reconstruction of proof') == MOST_IMAGES
    assert f"The first {MOST_IMAGES} reconstructions are shown." in text


def test_attack_without_history() -> None:
    assert "recorded no training history" in draw(unscored_page(history={}))
