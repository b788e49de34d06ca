import json

from tests.support.pages import rows_page, synthetic_report, unscored_page

from palimpsest.report import judge
from palimpsest.report.contents import as_json_block, page_contents


def test_a_page_of_scored_images_has_a_gallery_and_examples() -> None:
    page = synthetic_report(12)
    contents = page_contents(page, judge(page), redact=False)
    assert [group for group, _ in contents["examples"]] == ["most exposed", "median", "least exposed"]
    assert len(contents["gallery"]["rows"]) == 12
    assert "gallery" not in page_contents(page, judge(page), redact=True)


def test_other_pages_have_only_what_they_show() -> None:
    for page, images in ((rows_page(), False), (unscored_page(), True)):
        contents = page_contents(page, judge(page), redact=False)
        assert ("unscored_images" in contents) == images
        assert "gallery" not in contents
        assert contents["scored"] == (not images)


def test_json_can_not_leave_its_script_element() -> None:
    value = {"text": "</script><!-- &"}
    block = as_json_block(value)
    assert not set("<>&") & set(block)
    assert json.loads(block) == value
