import pytest

from palimpsest.api.examination import Examination
from palimpsest.doctor.finding import Finding, Level

FITS = Finding(Level.FITS, "proofs", "8 proofs of 10 numbers.")
MIND = Finding(Level.MIND, "samples", "Few of <them>.")
FAULT = Finding(Level.FAULT, "model", "It does not fit: take another.")


@pytest.mark.parametrize(
    ("findings", "fits"), [((), True), ((FITS, MIND), True), ((FITS, FAULT), False), ((FAULT, MIND), False)]
)
def test_a_case_fits_unless_there_is_a_fault(findings: tuple[Finding, ...], fits: bool) -> None:
    assert Examination(findings).fits == fits


def test_findings_keep_their_order() -> None:
    examination = Examination((FAULT, FITS, MIND))
    assert list(examination) == [FAULT, FITS, MIND]
    assert len(examination) == 3
    first, second, _ = str(examination).splitlines()
    assert first.split(maxsplit=2) == ["fault", "model", "It does not fit: take another."]
    assert second.index("8 proofs") == first.index("It does")


def test_an_examination_shows_itself_and_converts() -> None:
    examination = Examination((FITS, MIND))
    shown = examination._repr_html_()
    assert shown.count("<tr>") == 3
    assert "&lt;them&gt;" in shown
    table = examination.to_frame()
    assert table.columns.tolist() == ["level", "piece", "sentence"]
    assert table["level"].tolist() == ["fits", "mind"]
    assert Examination(()).to_frame().columns.tolist() == ["level", "piece", "sentence"]
