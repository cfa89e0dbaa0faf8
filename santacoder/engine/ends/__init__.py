"""Where a text ends before the model ends it. Held-back text is shown or dropped; shown text is never removed."""
