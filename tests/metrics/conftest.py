import pytest

from palimpsest.metrics import comparison, distances


@pytest.fixture(params=[2**22, 5], ids=["one block", "many blocks"])
def block(request, monkeypatch):
    """Compute distances in one block of rows, or in many."""
    monkeypatch.setattr(distances, "_BLOCK", request.param)


@pytest.fixture
def without_weights(monkeypatch, tmp_path):
    """Hide the pretrained weights from LPIPS."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.fixture
def with_lpips(monkeypatch):
    """Replace the perceptual distance, whose own tests need weights, with a stand-in."""

    def distance(images, originals, *, network):
        assert network == "alex"
        return (images - originals).abs().flatten(1).mean(1).double()

    monkeypatch.setattr(comparison, "lpips", distance)
