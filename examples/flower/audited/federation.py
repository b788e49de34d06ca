"""Setup that server and clients share: the configuration, the data and the request to forget."""

from functools import cache
from pathlib import Path

from palimpsest.config import AuditConfig, read_config
from palimpsest.datasets import load_data
from palimpsest.federation import Federation
from palimpsest.unlearning import Request, make_request


@cache
def load_setup(configuration: str, data_dir: str) -> tuple[AuditConfig, Federation, Request]:
    """Read the configuration, load the data, and resolve the request to forget.

    In a real federation each client reads its own images and requests. In this example both follow from the seed.
    """
    config = read_config(Path(configuration))
    data = load_data(
        config.data,
        clients=config.federation.clients,
        seed=config.seed,
        data_dir=Path(data_dir) if data_dir else None,
    )
    federation = Federation(data, config.model, config.federation, config.seed)
    return config, federation, make_request(config.unlearning, data, seed=config.seed)
