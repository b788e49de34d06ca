"""The example's Flower app in one process, with Flower's messages and without a network."""

from collections.abc import Callable, Iterable
from typing import Any

NODES = (7, 2**63 + 5)  # Flower's node ids exceed int64.


class Local:
    """Stand-in for Flower's grid that passes each message directly to the app, with its node's state."""

    def __init__(self, app: Any, *, lose: Callable[[Any], bool] = lambda message: False) -> None:
        from flwr.app import Context, RecordDict

        self.app, self.lose, self.seen = app, lose, []
        self.contexts = {
            node: Context(
                run_id=1,
                node_id=node,
                node_config={"partition-id": partition},
                state=RecordDict(),
                run_config={},
            )
            for partition, node in enumerate(NODES)
        }

    def get_node_ids(self) -> list[int]:
        return list(NODES)

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
        from flwr.app import Error, Message

        replies = []
        for message in messages:
            self.seen.append(message)
            if self.lose(message):
                continue
            try:
                replies.append(self.app(message, self.contexts[message.metadata.dst_node_id]))
            except Exception as error:
                replies.append(Message(Error(code=0, reason=repr(error)), reply_to=message))
        return replies


def client(example: Any, *mods: Any) -> Any:
    """Make the example's client with other mods."""
    import app.client as module  # pyright: ignore[reportMissingImports]
    from flwr.clientapp import ClientApp

    app = ClientApp(mods=list(mods))
    app.train()(module.train)
    return app


def start(strategy: Any, grid: Any, initial: Any, *, unlearn: bool, rounds: int = 2) -> Any:
    from flwr.app import ConfigRecord

    config: dict[str, Any] = {"local-epochs": 1, "learning-rate": 0.05}
    if unlearn:
        config["unlearn"] = True
    return strategy.start(grid, initial, num_rounds=rounds, train_config=ConfigRecord(config))


def request_message(example: Any, node: int = NODES[0]) -> Any:
    from palimpsest.flower.server import _requests

    return _requests([node], example.Net().state_dict(), example.Net().state_dict())[0]


def instruction_message(example: Any, node: int = NODES[0]) -> Any:
    from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, RecordDict

    content = {
        "arrays": ArrayRecord(example.Net().state_dict()),
        "config": ConfigRecord({"unlearn": True, "local-epochs": 1, "learning-rate": 0.1}),
    }
    return Message(content=RecordDict(content), message_type=MessageType.TRAIN, dst_node_id=node)
