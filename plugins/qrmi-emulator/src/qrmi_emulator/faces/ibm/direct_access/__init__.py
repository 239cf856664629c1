"""IBM Quantum System, formerly Direct Access: its REST API, and an S3 store."""
