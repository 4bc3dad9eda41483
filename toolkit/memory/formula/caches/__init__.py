"""Keys and values that generation keeps."""
