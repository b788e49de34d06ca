"""Server of the app: trains, retrains without the forgotten samples, and collects the clients' proofs."""

from logging import WARN
from pathlib import Path

from flwr.app import Context, Message, MessageType, RecordDict
from flwr.common import log
from flwr.serverapp import Grid, ServerApp

from audited.federation import load_setup
from palimpsest.federation import FlowerClients, Plan, Training, run_rounds, snapshot
from palimpsest.federation.flower_records import pack_parameters, unpack_parameters
from palimpsest.gradients import parameter_count
from palimpsest.proofs import Delivery, Proofs, receive_proofs, save_proofs
from palimpsest.storage import parameters_hash, save_tensors

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train, unlearn, collect the proofs, and write both models and the proofs as safetensors."""
    settings = context.run_config
    config, federation, request = load_setup(str(settings["configuration"]), str(settings["data-dir"]))
    out = Path(str(settings["out"]))
    clients = FlowerClients(grid, config.federation.clients)

    def train(title: str, backend: FlowerClients) -> Training:
        model = federation.network()
        plan = Plan(
            title=title,
            clients=config.federation.clients,
            schedule=federation.schedule(ensure=request.clients),
            work=federation.local_training(),
            aggregation=federation.aggregation,
            trainable=tuple(name for name, _ in model.named_parameters()),
            seed=config.seed,
        )
        return run_rounds(plan, backend, snapshot(model), scratch=out / ".unfinished" / title)

    original = train("train", clients).parameters
    unlearned = train("retrain", clients.asking("retained")).parameters
    messages = [
        Message(
            content=RecordDict(
                {"original": pack_parameters(original), "unlearned": pack_parameters(unlearned)}
            ),
            message_type=f"{MessageType.QUERY}.prove",
            dst_node_id=clients.nodes[client],
        )
        for client in request.clients
    ]
    models = {"original": parameters_hash(original), "unlearned": parameters_hash(unlearned)}
    # The sender is identified by its node, because a message could claim any client.
    numbers = {node: client for client, node in clients.nodes.items()}
    received = receive_proofs(
        [
            Delivery(
                numbers[answer.metadata.src_node_id],
                unpack_parameters(answer.content["proofs"]).get("vectors"),
            )
            for answer in grid.send_and_receive(messages)
            if not answer.has_error()
        ],
        {client: len(request.forgotten_by_client[client]) for client in request.clients},
        dimension=parameter_count(federation.network()),
        **models,
    )
    for client, reason in received.faults.items():
        log(WARN, "The proofs of client %s are excluded. %s", client, reason)
    proofs = Proofs(received.vectors, {**models, "loss": "cross_entropy"})
    save_tensors(out / "original.safetensors", original)
    save_tensors(out / "unlearned.safetensors", unlearned)
    save_proofs(out / "proofs.safetensors", proofs)
