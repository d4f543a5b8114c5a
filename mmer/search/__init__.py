"""Network and hyperparameters searched under a budget, with Optuna."""
