"""Where a text ends before the model ends it. Whatever is held back here is shown or dropped, never taken back."""
