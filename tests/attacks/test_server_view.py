from tests.support.attack_views import World, tensors

from palimpsest.attacks import ServerView
from palimpsest.datasets import ImageSet


def reached_images(view: ServerView, clients: World) -> int:
    """How many private images occur among the tensors that the view holds."""
    private = [*clients.retained.images, *clients.forgotten.images]
    reached = tensors(view)
    assert len(reached) > 10
    return sum(
        tensor.shape[-3:] == image.shape and bool((tensor == image).flatten(-3).all(dim=-1).any())
        for tensor in reached
        for image in private
    )


def test_no_truth_can_be_reached_from_the_view(world: type[World]) -> None:
    clients = world()
    assert reached_images(clients.view, clients) == 0
    assert not any(isinstance(value, ImageSet) for value in vars(clients.view.observation).values())


def test_the_search_for_private_images_can_find_them(world: type[World]) -> None:
    clients = world()
    vars(clients.view)["leak"] = {"images": clients.forgotten.images}
    assert reached_images(clients.view, clients) == len(clients.forgotten.images)
