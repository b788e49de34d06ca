"""Report pages in a browser: interaction, accessibility and content security policy."""

import re

import pytest
import torch
from tests.support.browser import check_readable, serious
from tests.support.pages import draw, unscored_page


@pytest.fixture(scope="module")
def html(report) -> str:
    return draw(report)


def shown(page) -> list[int]:
    return [
        int(row)
        for row in page.eval_on_selector_all("#cards .card", "cards => cards.map(c => c.dataset.row)")
    ]


def test_opens_without_console_messages_or_requests(open_page, html):
    opened = open_page(html)
    page = opened.page
    page.click("#cards .card")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")
    page.click("#theme")
    page.mouse.wheel(0, 20_000)
    page.wait_for_timeout(100)
    assert opened.complaints == []
    assert opened.requests == []
    broken = "[...document.images].filter(i => i.getAttribute('src') && i.complete && !i.naturalWidth).length"
    assert page.evaluate(broken) == 0


def test_policy_blocks_injected_scripts(open_page, html):
    injected = html.replace("</main>", "<script>document.title = 'taken'</script></main>")
    opened = open_page(injected)
    assert opened.page.title() != "taken"
    assert opened.complaints


def test_sorts_both_ways(open_page, html, report):
    page = open_page(html).page
    assert shown(page) == report.per_image["lpips"].argsort().tolist()[:48]
    page.select_option("#sort", "psnr")
    assert shown(page) == report.per_image["psnr"].argsort(descending=True).tolist()[:48]
    page.select_option("#order", "least")
    assert shown(page) == report.per_image["psnr"].argsort().tolist()[:48]
    page.select_option("#sort", "number")
    page.select_option("#order", "most")
    assert shown(page) == list(range(48))


def test_filters_by_class_client_verifier_and_score(open_page, html, report):
    page = open_page(html).page
    page.select_option("#sort", "number")

    def rows(condition) -> list[int]:
        return condition.nonzero().flatten().tolist()[:48]

    page.select_option("#class", "3")
    assert shown(page) == rows(report.labels == 3)
    page.select_option("#owner", "1")
    assert shown(page) == rows((report.labels == 3) & (report.owners == 1))
    page.click("#controls button[type=reset]")
    page.select_option("#sort", "number")
    page.select_option("#accepted", "false")
    assert shown(page) == rows(~report.accepted)
    page.select_option("#accepted", "")
    page.select_option("#sort", "mse")
    page.fill("#low", "0.01")
    page.fill("#high", "0.014")
    mse = report.per_image["mse"]
    between = rows((mse >= 0.01) & (mse <= 0.014))
    assert 0 < len(between) < 48
    assert sorted(shown(page)) == between
    page.fill("#low", "5")
    assert shown(page) == []
    assert "No image matches" in page.inner_text("#status")


def test_filters_identified_images(open_page, html, report):
    page = open_page(html).page
    page.select_option("#sort", "number")
    identified = report.per_image["rank"] == 1
    assert 0 < int(identified.sum()) < 120
    for choice, wanted in (("true", identified), ("false", ~identified)):
        page.select_option("#identified", choice)
        assert shown(page) == wanted.nonzero().flatten().tolist()[:48]
    page.click("#cards .card")
    facts = page.locator("#large-facts div", has_text="Identified")
    assert facts.locator("dd").inner_text() == "no"


def test_prints_the_whole_gallery(open_page, html):
    page = open_page(html).page
    page.click("#next")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert len(shown(page)) == 120
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.inner_text("#status") == "Images 49 to 96 of 120"
    assert len(shown(page)) == 48


def test_turns_pages(open_page, html, report):
    page = open_page(html).page
    order = report.per_image["lpips"].argsort().tolist()
    assert page.is_disabled("#previous")
    page.click("#next")
    assert shown(page) == order[48:96]
    page.click("#next")
    assert shown(page) == order[96:]
    assert page.is_disabled("#next")
    assert page.inner_text("#status") == "Images 97 to 120 of 120"


def test_enlarges_by_keyboard_and_restores_the_focus(open_page, html, report):
    page = open_page(html).page
    order = report.per_image["lpips"].argsort().tolist()
    page.focus("#cards li:nth-child(2) .card")
    page.keyboard.press("Enter")
    assert page.get_by_role("dialog", name=f"Image {order[1]}, class").is_visible()
    assert page.inner_text("#enlarged-title").startswith(f"Image {order[1]},")
    assert page.eval_on_selector("#large-original", "image => image.naturalWidth") == 32
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#enlarged-title").startswith(f"Image {order[2]},")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#enlarged-title").startswith(f"Image {order[0]},")
    assert page.is_disabled("#dialog-previous")
    page.keyboard.press("Escape")
    assert not page.is_visible("#enlarged")
    assert page.evaluate("document.activeElement.dataset.row") == str(order[1])


def test_examples_enlarge_too(open_page, html, report):
    page = open_page(html).page
    order = report.per_image["lpips"].argsort().tolist()
    page.click("#examples .grid:last-of-type .card:last-child")
    assert page.inner_text("#enlarged-title").startswith(f"Image {order[-1]},")
    assert page.is_disabled("#dialog-next")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_follows_the_system_and_the_button(open_page, html, scheme):
    page = open_page(html, color_scheme=scheme).page
    ground = "getComputedStyle(document.body).backgroundColor"
    colors = {"light": "rgb(251, 248, 241)", "dark": "rgb(25, 23, 20)"}
    other = "dark" if scheme == "light" else "light"
    assert page.evaluate(ground) == colors[scheme]
    page.click("#theme")
    assert page.evaluate(ground) == colors[other]
    page.click("#theme")
    assert page.evaluate(ground) == colors[scheme]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_plots_have_enough_contrast(open_page, html, scheme):
    page = open_page(html, color_scheme=scheme).page
    contrasts = page.evaluate(
        """() => {
          const channel = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
          const light = (color) => {
            const [r, g, b] = color.match(/\\d+/g).map(Number).map(channel);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b;
          };
          const ground = light(getComputedStyle(document.body).backgroundColor);
          const contrast = (color) => {
            const [a, b] = [light(color), ground].sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
          };
          const text = [...document.querySelectorAll(
            "p, li, dt, dd, th, td, span, h1, h2, h3, button:enabled, a:not(.skip)")];
          const drawn = [...document.querySelectorAll("svg text")];
          return [...text.map((e) => contrast(getComputedStyle(e).color)),
                  ...drawn.map((e) => contrast(getComputedStyle(e).fill))];
        }"""
    )
    assert len(contrasts) > 200
    assert min(contrasts) >= 4.5


def test_fits_a_phone(open_page, html):
    page = open_page(html, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.tap("#cards .card")
    box = page.locator("#enlarged").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_long_words_do_not_widen_a_phone(open_page, make_report):
    word = "x" * 200
    config = {**make_report(12).config, "description": word}
    changes = {"title": word, "notes": [word], "command": word, "config": config, "class_names": [word] * 10}
    html = draw(make_report(12, versions={word: word}, knowledge=[word], **changes))
    page = open_page(html, viewport={"width": 390, "height": 844}, is_mobile=True).page
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_has_a_skip_link_first_and_landmarks(open_page, html):
    page = open_page(html).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the summary"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "summary"
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).first.is_visible()


def test_is_readable_without_scripts(open_page, html):
    page = open_page(html, java_script_enabled=False).page
    assert page.locator("#examples img").count() == 36
    assert page.is_visible("#gallery noscript p")
    assert not page.is_visible("#controls")


def test_prints_with_all_details_open(open_page, html):
    page = open_page(html).page
    page.click("#theme")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(34, 29, 23)"
    assert not page.is_visible("#controls")
    assert page.is_visible("#scores table")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.is_visible("details pre")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.is_visible("details pre")
    assert len(page.pdf()) > 10_000


def test_work_does_not_grow_with_the_number_of_images(open_page, make_report):
    report = make_report(5000)
    html = draw(report)
    assert len(html.encode()) < 30e6
    page = open_page(html).page
    page.wait_for_selector("#cards .card")
    assert page.inner_text("#status") == "Images 1 to 48 of 5,000"
    # The page never draws more than one page of the gallery and the examples.
    assert page.locator("img").count() <= 2 * 48 + 36 + 4
    # A card has about eight elements, so drawing all images would take at least 40,000.
    assert page.evaluate("document.querySelectorAll('*').length") < 4000
    page.evaluate(
        """() => {
            window.added = 0;
            const count = node => node.querySelectorAll ? 1 + node.querySelectorAll("*").length : 0;
            const add = record => record.addedNodes.forEach(node => { window.added += count(node); });
            new MutationObserver(records => records.forEach(add)).observe(
                document, { childList: true, subtree: true }
            );
        }"""
    )
    page.select_option("#sort", "mse")
    page.select_option("#class", "4")
    page.click("#cards .card")
    page.wait_for_function("document.getElementById('large-original').naturalWidth === 32")
    assert 0 < page.evaluate("window.added") < 2000


def test_page_shows_the_exact_pixels(open_page, html, report):
    page = open_page(html).page
    row = shown(page)[0]
    page.wait_for_function("document.querySelector('#cards img').complete")
    pixels = page.evaluate(
        """() => {
            const canvas = document.createElement("canvas");
            canvas.width = canvas.height = 32;
            const context = canvas.getContext("2d");
            context.drawImage(document.querySelector("#cards img"), 0, 0);
            return [...context.getImageData(0, 0, 32, 32).data];
        }"""
    )
    drawn = torch.tensor(pixels).view(32, 32, 4)[..., :3].permute(2, 0, 1)
    assert torch.equal(drawn, report.originals[row].mul(255).round().long())


def test_redacted_page_works_and_contains_no_image(open_page, report):
    html = draw(report, redact=True)
    assert not re.search(r"UklGR|iVBOR|/9j/|;base64,\w", html)
    opened = open_page(html)
    assert opened.page.locator("img, canvas, dialog, #gallery, .card").count() == 0
    opened.page.click("#theme")
    assert opened.complaints == []
    assert opened.requests == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["report", "redacted", "unscored"])
def test_page_is_accessible(name, scheme, open_page, html, report) -> None:
    drawn = {
        "report": lambda: html,
        "redacted": lambda: draw(report, redact=True),
        "unscored": lambda: draw(unscored_page(12)),
    }
    check_readable(open_page(drawn[name](), color_scheme=scheme))


def test_enlarged_image_is_accessible(html, open_page) -> None:
    page = open_page(html).page
    page.click("#cards .card")
    assert page.is_visible("#enlarged")
    assert serious(page) == []


def test_axe_finds_violations(open_page) -> None:
    assert serious(open_page("<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'></main>").page)
