"""Client of the app: trains the adapter with or without the images that it has to forget."""

from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from peft import get_peft_model_state_dict, set_peft_model_state_dict

from app.task import FORGOTTEN, Net, fit, forgotten, load_data
from palimpsest.flower import ProofMod

app = ClientApp(mods=[ProofMod(Net, forgotten)])  # audited; it was: app = ClientApp()


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train for one round, without the forgotten images if the server asks to unlearn."""
    config = message.content["config"]
    images, labels = load_data(int(context.node_config["partition-id"]))
    if config.get("unlearn", False):
        images, labels = images[FORGOTTEN:], labels[FORGOTTEN:]
    model = Net().train()
    set_peft_model_state_dict(model, message.content["arrays"].to_torch_state_dict())
    loss = fit(
        model,
        images,
        labels,
        epochs=int(config["local-epochs"]),
        learning_rate=float(config["learning-rate"]),
    )
    content = {
        "arrays": ArrayRecord(get_peft_model_state_dict(model)),
        "metrics": MetricRecord({"train_loss": loss, "num-examples": len(images)}),
    }
    return Message(content=RecordDict(content), reply_to=message)
