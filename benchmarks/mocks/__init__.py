"""Services on loopback with a latency, in processes beside that of the benchmark."""
