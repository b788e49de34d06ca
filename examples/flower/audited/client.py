"""Client of the app: trains, retrains without the forgotten samples, and computes its proofs."""

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from audited.federation import load_setup
from palimpsest.federation import Shard, answer
from palimpsest.federation.flower_records import (
    pack_parameters,
    pack_reply,
    unpack_parameters,
    unpack_payload,
)
from palimpsest.gradients import gradient_differences
from palimpsest.models import load_parameters

app = ClientApp()


@app.query()
def who(message: Message, context: Context) -> Message:
    """Return the number of the client that this node is."""
    number = int(context.node_config["partition-id"])
    return Message(content=RecordDict({"who": MetricRecord({"client": number})}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train for one round on all of the client's samples."""
    return _work(message, context, retained=False)


@app.train("retained")
def retrain(message: Message, context: Context) -> Message:
    """Train for one round on the retained samples."""
    return _work(message, context, retained=True)


@app.query("prove")
def prove(message: Message, context: Context) -> Message:
    """Return one gradient difference for each forgotten sample. The samples do not leave the client."""
    _, federation, request = _load_setup(context)
    number = int(context.node_config["partition-id"])
    rows = request.forgotten_by_client[number]
    before, after = (
        load_parameters(federation.network(), unpack_parameters(message.content[name]))
        for name in ("original", "unlearned")
    )
    forgotten = federation.data.train.subset(rows)
    vectors = gradient_differences(before, after, forgotten.images, forgotten.labels)
    content = RecordDict(
        {"proofs": pack_parameters({"vectors": vectors}), "who": MetricRecord({"client": number})}
    )
    return Message(content=content, reply_to=message)


def _work(message: Message, context: Context, *, retained: bool) -> Message:
    _, federation, request = _load_setup(context)
    number = int(context.node_config["partition-id"])
    train_set = federation.data.train
    rows = request.retained[number] if retained else federation.data.clients[number]
    shard = Shard(train_set.images, train_set.labels, rows)
    return Message(
        content=pack_reply(answer(federation.network(), number, shard, unpack_payload(message.content))),
        reply_to=message,
    )


def _load_setup(context: Context):
    return load_setup(str(context.run_config["configuration"]), str(context.run_config["data-dir"]))
