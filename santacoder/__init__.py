"""SantaCoder: the model, checkpoints, tokenizer, inference engine and attribution."""
