"""Schema of `evidence.json`, the evidence page as values."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from palimpsest.metrics import Estimate
from palimpsest.metrics.schema_parts import Part
from palimpsest.report.risk import Risk


class Question(StrEnum):
    """The three questions that the tests of an evidence page answer."""

    DISCLOSURE = "disclosure"
    """The content of the proofs or gradients: how much of the forgotten samples do they reveal?"""
    FORGETTING = "forgetting"
    """The unlearned model: does it still show that it was trained on them?"""
    VERIFICATION = "verification"
    """The acceptance of a proof: what does it show?"""


class LineFinding(StrEnum):
    """The finding of one test, in the words of the page."""

    FOUND = "found"
    """The test finds forgotten data."""
    NOT_FOUND = "not found"
    """The test finds no forgotten data. In a test of forgetting, it finds the data in the original model."""
    NOT_FOUND_BEFORE = "not found, nor before"
    """The test finds no forgotten data in the original model either, so its result shows little."""
    CONTROL_PASSED = "attack works"
    """The attack works on samples with known content, or on proofs without the defense."""
    CONTROL_FAILED = "attack fails"
    """The attack fails there too, so its failure elsewhere shows little."""
    LIMIT = "limit"
    """No attack on one proof exceeds the result in expectation."""
    GUARANTEE = "guarantee"
    """The result holds by the design of the training."""
    DETECTED = "detected"
    """The check detects every forgery that was tried."""
    MISSED = "missed"
    """The check misses a forgery that was tried."""
    INFORMATION = "information"
    """The result has no range to compare it with."""


class EvidenceLine(Part):
    """One test with its result, a row of the page's table."""

    question: Question
    """The question that the test belongs to: `disclosure`, `forgetting` or `verification`."""
    test: str
    """Name of the test and of what it measures."""
    result: Estimate
    """The result, in tests of forgetting that of the unlearned model."""
    share: bool = False
    """Whether the numbers are shares in [0, 1], which the page writes as percentages."""
    comparisons: dict[str, Estimate] = Field(default_factory=dict)
    """Values to compare the result with, by name, such as `chance` and `before`."""
    finding: LineFinding
    """The finding, in words."""


class Assessment(Part):
    """The answer to one of the two graded questions."""

    question: str
    """The question in words."""
    risk: Risk
    """The grade: `high`, `medium` or `low`, or `unknown` if the tests give none."""
    rule: str
    """The rule by which the grade is given."""
    conclusion: list[str]
    """The answer without technical terms, one or two sentences."""
    reasons: list[str]
    """Reasons for the grade with their numbers, one sentence each."""


class Evidence(Part):
    """The contents of `evidence.json`: what the evidence page shows, and the numbers behind it."""

    format: Literal[1] = 1
    """Version of this layout."""
    title: str
    """The page's heading."""
    finished: str
    """Date and time at which the run was finished; empty if an earlier version did not record it."""
    redacted: bool
    """Whether every path, address and file name was left out."""
    request: dict[str, str]
    """Request: data, model, unlearning, defense, attack and counts, by name."""
    sha256: dict[str, str]
    """SHA-256 hashes of the configuration, data, models and proofs, in hexadecimal, by name."""
    versions: dict[str, str]
    """Versions of packages and of the platform, by name."""
    risk: Risk
    """The residual risk, which follows from the two assessments."""
    rule: str
    """The rule by which it follows from them."""
    disclosure: Assessment
    """Assessment of what the proofs or gradients reveal."""
    forgetting: Assessment
    """Assessment of whether the model has forgotten."""
    damage: str
    """Warning that unlearning damaged the model; empty if it did not."""
    next_steps: list[str]
    """Next steps, the most urgent step first."""
    tests: list[EvidenceLine]
    """Tests with their results, in the order of the page."""
    not_tested: list[str]
    """Gaps: matters that were not tested, one phrase each."""
    headline: str
    """First sentence of the findings in detail."""
    findings: list[str]
    """Findings in detail, one sentence each."""
    notes: list[str]
    """Limits and remarks, one sentence each."""
    configuration: dict[str, Any]
    """The configuration of the run."""
    metrics: dict[str, Any]
    """The contents of the run's `metrics.json`."""
