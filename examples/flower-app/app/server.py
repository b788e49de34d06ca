"""Server of the app: trains, and trains again without the images that the clients have to forget."""

import torch
from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg

from app.task import Net
from palimpsest.flower import Audited

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, then retrain from the same initial model with the instruction to unlearn."""
    config = {"num-server-rounds": 6, "local-epochs": 2, "learning-rate": 0.05, **context.run_config}
    rounds = int(config["num-server-rounds"])
    settings = {name: config[name] for name in ("local-epochs", "learning-rate")}
    torch.manual_seed(1)
    initial = ArrayRecord(Net().state_dict())

    strategy = FedAvg(fraction_evaluate=0.0)
    strategy = Audited(strategy, "audit")  # audited; this line is new

    strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord(settings))
    strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord({**settings, "unlearn": True}))
