import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.trackers import LOSSES, track_offline


def test_mlflow_records_history_parameters_and_scores(tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="mlflow is not installed")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    track_offline("mlflow", tmp_path / "run", MLFLOW_TRACKING_URI=uri)
    code = """
import json, sys
from mlflow.tracking import MlflowClient
client = MlflowClient(sys.argv[1])
(run,) = client.search_runs([client.get_experiment_by_name("palimpsest").experiment_id])
history = client.get_metric_history(run.info.run_id, "inverter/train/loss")
print(json.dumps([run.info.status, run.info.run_name, run.data.params, run.data.metrics,
    sorted((point.step, point.value) for point in history)]))
"""
    result = subprocess.run([sys.executable, "-c", code, uri], capture_output=True, check=False, text=True)
    assert result.returncode == 0, result.stderr
    status, name, params, metrics, history = json.loads(result.stdout.splitlines()[-1])
    assert (status, name) == ("FINISHED", "run")
    assert params["data.name"] == "digits"
    assert "31337" not in params["unlearning.indices"]
    assert metrics["reconstruction/mse"] == 0.01
    assert history == [list(point) for point in enumerate(LOSSES, 1)]
