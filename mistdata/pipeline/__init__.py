"""From a recipe to a sealed store: recipe, plan, shards, run."""
