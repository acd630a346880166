"""What is measured: each module runs in a process of its own (see `child`) and knows nothing of the harness."""
