"""The command `task_runner`."""
