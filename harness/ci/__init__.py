"""What the harness does in continuous integration beside measuring: comments on GitHub."""
