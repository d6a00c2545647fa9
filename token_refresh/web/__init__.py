"""What a browser sees: requests in, pages out."""
