"""Server of the app: trains, and trains again without the images that the clients have to forget."""

from flwr.app import ArrayRecord, ConfigRecord, Context
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from peft import get_peft_model_state_dict

from app.task import Net
from palimpsest.flower import Audited

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, then retrain from the same initial adapter with the instruction to unlearn."""
    config = {"num-server-rounds": 3, "local-epochs": 2, "learning-rate": 0.003, **context.run_config}
    rounds = int(config["num-server-rounds"])
    settings = {name: config[name] for name in ("local-epochs", "learning-rate")}
    initial = ArrayRecord(get_peft_model_state_dict(Net()))

    strategy = FedAvg(fraction_evaluate=0.0)
    strategy = Audited(strategy, "audit")  # audited; this line is new

    strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord(settings))
    strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord({**settings, "unlearn": True}))
