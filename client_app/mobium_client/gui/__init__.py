"""The desktop client: presenters without a toolkit (`models`), views without logic, one bridge of threads."""
