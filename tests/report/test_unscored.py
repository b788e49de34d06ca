from tests.support.pages import draw, unscored_page

from palimpsest.report.unscored import MOST_IMAGES


def test_it_shows_every_reconstruction_and_says_that_nothing_is_known_of_them() -> None:
    text = draw(unscored_page())
    assert text.count('alt="Reconstruction of proof') == 3
    assert "is not known" in text
    assert "2 of 3 are" in text
    assert "<svg" in text


def test_it_has_no_script_and_loads_nothing() -> None:
    text = draw(unscored_page())
    assert "<script" not in text
    assert "default-src &#39;none&#39;" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "&lt;b&gt;proofs" in text


def test_a_page_of_many_says_how_many_it_shows() -> None:
    text = draw(unscored_page(MOST_IMAGES + 5))
    assert text.count('alt="Reconstruction of proof') == MOST_IMAGES
    assert f"Shown are the first {MOST_IMAGES}" in text


def test_an_attack_without_curves() -> None:
    assert "recorded no curve" in draw(unscored_page(history={}))
