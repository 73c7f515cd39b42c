"""Training the estimator on a store: loader, fit, evaluate, picture. Not part of the wheel."""
