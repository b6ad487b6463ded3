"""MLServer's XGBoost runtime, in the server's own process."""

import json
import os
import shutil
import subprocess
from pathlib import Path

shutil.copy(os.environ["MODEL"], "model.ubj")
port = int(os.environ["PORT"])
Path("settings.json").write_text(
    json.dumps(
        {
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": 0,
            "metrics_port": port,
            "parallel_workers": 0,
            "metrics_endpoint": None,
            "debug": False,
        }
    )
)
Path("model-settings.json").write_text(
    json.dumps(
        {"name": "rain", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": "./model.ubj"}}
    )
)
subprocess.run(["mlserver", "start", "."], check=True)
