import torch
from tests.support.attack_views import World
from tests.support.forgotten import Forgotten
from tests.support.wall_probe import WallProbe


def test_private_images_cannot_be_reached_from_the_view(world: type[World]) -> None:
    clients = world()
    probe = WallProbe(Forgotten(torch.cat([clients.retained.images, clients.forgotten.images])))
    probe.look("view", clients.view)
    assert probe.searched > 10
    assert not probe.leaks


def test_the_probe_finds_a_leaked_private_image(world: type[World]) -> None:
    clients = world()
    probe = WallProbe(Forgotten(clients.forgotten.images))
    vars(clients.view)["leak"] = {"images": clients.forgotten.images}
    probe.look("view", clients.view)
    assert probe.leaks
