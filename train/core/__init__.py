"""One update of the weights: batches, loss, optimizer, precision, processes."""
