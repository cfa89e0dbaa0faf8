"""What a phone shows before Gradio's page: the first example, and Run."""
