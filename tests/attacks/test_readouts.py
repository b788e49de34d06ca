import torch

from palimpsest.attacks import AuditorView
from palimpsest.attacks.head import Head, factorise
from palimpsest.attacks.readouts import HeadInputs, HeadResiduals, fit_reduction


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_a_normalised_vector_keeps_its_length_apart(view: AuditorView) -> None:
    vectors = torch.cat([*view.oracle.differences(view.auxiliary.images, view.auxiliary.labels)])
    reduced = fit_reduction(
        vectors, reduction="svd", normalise=True, explained_variance=1.0, generator=generator()
    )
    once, twice = reduced.transform(vectors), reduced.transform(2 * vectors)
    torch.testing.assert_close(once[:, :-1], twice[:, :-1], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(once[:, -1].exp() * 2, twice[:, -1].exp())
    torch.testing.assert_close(once[:, -1].exp(), vectors.norm(dim=1))
    assert reduced.transform(torch.zeros(1, 40)).isfinite().all()


def test_the_head_is_read_out_as_it_was_taken_apart() -> None:
    head, vectors = Head(3, 8), torch.randn(6, 40, generator=generator())
    factors = factorise(head, vectors)
    torch.testing.assert_close(HeadInputs(head).transform(vectors), factors.features.flatten(1).sqrt())
    read = HeadResiduals(head).transform(vectors)
    torch.testing.assert_close(read[:, :6], factors.residuals.flatten(1))
    assert torch.equal(read[:, 6:].argmax(1), factors.labels)
    assert HeadResiduals(head, label=False).transform(vectors).shape == (6, 6)
