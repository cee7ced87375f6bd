"""The file tools: what a model may read and change of folders that the configuration names, and nothing else."""
