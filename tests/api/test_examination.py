import pytest

from palimpsest.api.examination import Examination
from palimpsest.doctor.finding import Finding, Level

OK = Finding(Level.OK, "proofs", "8 proofs of 10 numbers.")
WARNING = Finding(Level.WARNING, "samples", "Few of <them>.")
ERROR = Finding(Level.ERROR, "model", "It does not fit: take another.")


@pytest.mark.parametrize(
    ("findings", "ok"), [((), True), ((OK, WARNING), True), ((OK, ERROR), False), ((ERROR, WARNING), False)]
)
def test_an_examination_is_ok_without_errors(findings: tuple[Finding, ...], ok: bool) -> None:
    assert Examination(findings).ok == ok


def test_findings_keep_their_order() -> None:
    examination = Examination((ERROR, OK, WARNING))
    assert list(examination) == [ERROR, OK, WARNING]
    assert len(examination) == 3
    first, second, _ = str(examination).splitlines()
    assert first.split(maxsplit=2) == ["error", "model", "It does not fit: take another."]
    assert second.index("8 proofs") == first.index("It does")


def test_displays_as_a_table_and_converts_to_a_data_frame() -> None:
    examination = Examination((OK, WARNING))
    html = examination._repr_html_()
    assert html.count("<tr>") == 3
    assert "&lt;them&gt;" in html
    table = examination.to_frame()
    assert table.columns.tolist() == ["level", "subject", "message"]
    assert table["level"].tolist() == ["ok", "warning"]
    assert Examination(()).to_frame().columns.tolist() == ["level", "subject", "message"]
