import pytest

from palimpsest.metrics import comparison, distances


@pytest.fixture(params=[2**22, 5], ids=["one block", "many blocks"])
def block(request, monkeypatch):
    """Distances in one block of rows, and in many."""
    monkeypatch.setattr(distances, "_BLOCK", request.param)


@pytest.fixture
def without_weights(monkeypatch, tmp_path):
    """LPIPS finds no pretrained weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


@pytest.fixture
def with_lpips(monkeypatch):
    """A stand-in for the perceptual distance, whose own tests need weights."""

    def distance(images, originals, *, network):
        assert network == "alex"
        return (images - originals).abs().flatten(1).mean(1).double()

    monkeypatch.setattr(comparison, "lpips", distance)
