import base64
import hashlib
import re
from collections import Counter
from html.parser import HTMLParser

import pytest
from tests.support.pages import (
    FORGETTING,
    draw,
    metrics_tree,
    rows_page,
    synthetic_report,
    unscored_metrics,
    unscored_page,
)

from palimpsest.metrics import Metrics
from palimpsest.report.contents import MOST_IMAGES

NO_FEDERATION = {"federation": None, "forgetting": None}
HOSTILE = "</script><img src=x onerror=alert(1)><b title='\"&amp;"


class Tags(HTMLParser):
    """Collects elements and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))


@pytest.fixture(scope="module")
def page(report) -> str:
    return draw(report)


def test_policy_allows_only_this_script_and_this_style(page):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


def test_contains_no_external_reference(page):
    elements = Tags(page).elements
    assert sum("src" in attributes or "href" in attributes for _, attributes in elements) > 5
    for tag, attributes in elements:
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_identifiers_are_unique_and_links_have_targets(page):
    elements = Tags(page).elements
    identifiers = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(identifiers) == len(set(identifiers))
    links = {attributes["href"][1:] for tag, attributes in elements if tag == "a"}
    assert links <= set(identifiers)


def test_every_image_has_alternative_text(page):
    assert all("alt" in attributes for tag, attributes in Tags(page).elements if tag == "img")


def test_warns_that_it_contains_the_forgotten_images(page):
    assert "Keep this file private." in page
    assert "contains the forgotten images themselves" in page


def test_hostile_text_is_escaped(page, make_report, config):
    config["data"]["name"] = HOSTILE
    config["attack"][HOSTILE] = HOSTILE
    config["defenses"][0]["name"] = HOSTILE
    parts = metrics_tree(mse=0.02, top1=0.5, count=12)
    parts["baselines"][HOSTILE] = parts["baselines"]["mean_image"]
    parts["seconds"] = {HOSTILE: 1.0}
    hostile = make_report(
        12,
        title=HOSTILE,
        command=HOSTILE,
        config=config,
        config_yaml=HOSTILE,
        metrics=Metrics.model_validate(parts),
        versions={HOSTILE: HOSTILE},
        history={HOSTILE: [1.0, 2.0], f"{HOSTILE} loss": [1.0, 2.0]},
        knowledge=[HOSTILE],
        notes=[HOSTILE],
        class_names=[HOSTILE] * 10,
        absent={HOSTILE: HOSTILE},
    )
    text = draw(hostile)
    assert "<img src=x" not in text
    elements = Tags(text).elements
    assert not [attributes for tag, attributes in elements if "onerror" in attributes or tag == "b"]
    assert sum(tag == "script" for tag, _ in elements) == 2


def test_is_deterministic(report, page):
    assert draw(report) == page


def test_redacted_page_contains_no_image_and_no_sample(report, make_report, config):
    config["unlearning"]["indices"] = [31337, 31338]
    secret = make_report(
        120,
        config=config,
        config_yaml="unlearning:\n  indices: [31337, 31338]\n",
        command="palimpsest audit digits --unlearning.indices 31337 31338",
    )
    assert "31337" in draw(secret)
    text = draw(secret, redact=True)
    assert "31337" not in text
    assert "31338" not in text
    assert not re.search(r"data:image/\w+;base64,\w", text)
    assert "UklGR" not in text
    assert "UklGR" in draw(secret)
    elements = Tags(text).elements
    assert not [tag for tag, _ in elements if tag == "img"]
    assert not [attributes for _, attributes in elements if attributes.get("type") == "application/json"]
    assert "data-row" not in text
    assert "Redacted." in text
    assert "Residual risk" in text
    assert "2 indices, left out" in text


@pytest.mark.parametrize("count", [1, 2, 3])
def test_renders_pages_of_few_images(count, make_report):
    assert "<h1>" in draw(make_report(count))


def test_describes_exact_unlearning_and_a_single_client(make_report):
    distance = FORGETTING["distance"] | {"absolute": 0.0, "relative": 0.0}
    trained = {"original_accuracy": 1.0, "unlearned_accuracy": 1.0, "faults": 0, "participation": [1]}
    exact = {"forgetting": FORGETTING | {"distance": distance}, "federation": trained}
    text = draw(make_report(12, parts=exact))
    assert "unlearning was exact" in text
    assert "L2 distance" not in text
    assert "There was one client, and it took part in 1 round." in text
    assert "L2 distance" in draw(make_report(12))


def test_renders_gray_images_without_lpips_owners_history_or_forgetting(report, make_report):
    changed = make_report(12, channels=1, owners=None, history={}, parts=NO_FEDERATION)
    per_image = {name: values for name, values in changed.per_image.items() if name == "mse"}
    absent = {"lpips": "The weights of its trunk are missing."}
    text = draw(type(changed)(**{**vars(changed), "per_image": per_image, "absent": absent}))
    assert "chosen by MSE" in text
    assert "LPIPS was not computed: The weights of its trunk are missing.<" in text
    assert "This attack recorded no training history." in text
    assert "Not measured. It needs both models" in text
    assert 'id="participation"' not in text


def test_unscored_attack_shows_every_reconstruction() -> None:
    text = draw(unscored_page())
    assert text.count('alt="Reconstruction of proof') == 3
    assert "2 of 3 proofs" in text or "accepted 2" in text
    assert "<svg" in text
    assert "recorded no training history" in draw(unscored_page(history={}))
    assert "&lt;b&gt;proofs" in text


def test_states_how_many_of_many_it_shows() -> None:
    text = draw(unscored_page(MOST_IMAGES + 5))
    assert text.count('alt="Reconstruction of proof') == MOST_IMAGES
    assert f"The first {MOST_IMAGES} reconstructions are shown." in text


def test_shows_other_samples_as_a_table() -> None:
    text = draw(rows_page())
    for value in (
        "41",
        "40",
        "reconstructed",
        "forgotten",
        "Typical sample",
        "in units &lt;of&gt; deviation",
    ):
        assert value in text
    assert "&lt;script&gt;" in text
    # The row with number 1 comes first, because it is the closest.
    assert text.index('<th scope="row">1</th>') < text.index('<th scope="row">0</th>')
    redacted = draw(rows_page(), redact=True)
    assert "reconstructed</td>" not in redacted
    assert "Typical sample" in redacted


def test_samples_are_not_scored_without_the_forgotten_ones() -> None:
    text = draw(rows_page(truth_cells=[], per_image={}, labels=None, metrics=unscored_metrics()))
    assert "were not supplied" in text
    assert 'id="scores"' not in text


def test_shows_forgetting_of_a_users_models() -> None:
    two = {"retrained": None, "distance": None}
    own = {model: {**FORGETTING[model], "retained": None} for model in ("original", "unlearned")}
    text = draw(synthetic_report(12, parts={"federation": None, "forgetting": FORGETTING | own | two}))
    assert "Accuracy on auxiliary images" in text
    assert "Retrained from scratch" not in text
    assert "Accuracy on retained images" not in text
    assert "L2 distance" not in text


def test_no_sentence_is_on_the_page_twice(page) -> None:
    assert repeated_sentences(page) == []
    assert repeated_sentences("<p>This sentence is on the page twice.</p>" * 2) != []


def repeated_sentences(html: str) -> list[str]:
    """Return sentences that a page shows twice."""
    visible = re.sub(r"<(script|style|svg|details).*?</\1>", " ", html, flags=re.DOTALL)
    blocks = re.findall(r"<(?:p|li|dd|figcaption)\b[^>]*>(.*?)</(?:p|li|dd|figcaption)>", visible, re.DOTALL)
    plain = [" ".join(re.sub(r"<[^>]+>", " ", block).split()) for block in blocks]
    sentences = [part for block in plain for part in re.split(r"(?<=[.:])\s+", block) if len(part) > 30]
    return sorted(sentence for sentence, times in Counter(sentences).items() if times > 1)


def test_shows_certificates() -> None:
    statuses = {
        "certified exact": {"count": 7, "mean_mse": 1e-9, "largest_mse": 3e-9},
        "not certified": {"count": 5, "mean_mse": None, "largest_mse": None},
    }
    section = {"statuses": statuses, "thresholds": {"image": 1e-4}, "wrong": 0, "limit": "the reason"}
    text = draw(synthetic_report(12, parts={"certificates": section}))
    assert "Certified exact" in text
    assert "3e-09" in text
    assert "No further layers can be solved: the reason" in text
    assert "0 of the images that are certified as exact are wrong" in text
    assert "Certificates table" not in draw(synthetic_report(12))
