"""The search: what a user asks for, the trials that Ray runs, and what Optuna proposes."""
