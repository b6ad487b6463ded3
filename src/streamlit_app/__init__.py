"""The console: a Streamlit application that talks to the gateway and to nothing else."""
