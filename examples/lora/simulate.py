"""Run the app in Flower's simulation on this machine: python simulate.py."""

from app.client import app as client
from app.server import app as server
from app.task import CLIENTS
from flwr.simulation import run_simulation

if __name__ == "__main__":
    run_simulation(server_app=server, client_app=client, num_supernodes=CLIENTS)
