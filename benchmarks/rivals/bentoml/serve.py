"""A BentoML service with one worker."""

import os
import subprocess

os.environ["BENTOML_DO_NOT_TRACK"] = "1"
command = ["bentoml", "serve", "service:Rain", "--host", "127.0.0.1", "--port", os.environ["PORT"]]
subprocess.run(command, check=True)
